"""Applies each fault of faults.toml, alone, to a copy of the code, and sees whether the tests find it."""

from __future__ import annotations

import glob
import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COPIED: Final = ("core", "plugins", "scripts", "tests", "pyproject.toml")
LEFT_OUT: Final = shutil.ignore_patterns("node_modules", ".*_cache", "__pycache__")
LIMIT_S: Final = 180  # a fault that makes a test wait for ever is found as well
PYTEST: Final = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not e2e")
WARM: Final = os.path.join(ROOT, "scripts", "mutate_warm.py")
SCRIPT: Final = (
    "#!{python}\nimport sys\nfrom keyfob.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
)

FAILED: Final = 1  # pytest's exit code where a test failed; it has others where none could be run
PASSED: Final = 0


@dataclass(frozen=True)
class Fault:
    """One fault: in `file`, `old`, which stands there once, becomes `new`; `tests` are those that should find it."""

    why: str
    file: str
    old: str
    new: str
    tests: list[str]


@dataclass(frozen=True)
class Run:
    """How the tests ended: pytest's exit code, None at the time limit; what it printed; seconds."""

    status: int | None
    output: str
    seconds: float


def main(words: list[str]) -> int:
    """Try every fault that has one of `words` in its text, or all; the exit code says whether each was found."""
    faults = [fault for fault in read_faults() if not words or any(word in str(fault) for word in words)]
    astray = [fault for fault in faults if read(ROOT, fault.file).count(fault.old) != 1]
    for fault in astray:
        print(f"ASTRAY  {fault.why}\n        the old text does not stand in {fault.file} just once")
    if astray:
        return 1
    with tempfile.TemporaryDirectory(prefix="keyfob-mutate-") as folder, Bench(folder) as bench:
        if not sound(faults, bench):
            return 1
        found = [report(fault, run) for fault, run in zip(faults, bench.each(run_with, faults), strict=True)]
    print(f"{found.count(True)} of {len(faults)} faults were found")
    return 0 if all(found) else 1


def read_faults() -> list[Fault]:
    """The faults of the table, in its order."""
    with open(os.path.join(ROOT, "scripts", "faults.toml"), "rb") as file:
        return [Fault(**fault) for fault in tomllib.load(file)["fault"]]


def sound(faults: list[Fault], bench: Bench) -> bool:
    """Whether the tests pass without any fault: where they fail anyway, they would seem to find each."""
    named = {test for fault in faults for test in fault.tests}
    whole = sorted(test for test in named if "::" not in test or test.partition("::")[0] not in named)
    for run in bench.each(lambda copy, test: copy.run_tests([test]), whole):
        if run.status != PASSED:
            print(f"The tests fail without any fault:\n{run.output}")
            return False
    return True


def run_with(copy: Copy, fault: Fault) -> Run:
    """Run a fault's tests on a copy that has the fault, and none after it."""
    sound = read(copy.path, fault.file)
    write(copy.path, fault.file, sound.replace(fault.old, fault.new))
    try:
        return copy.run_tests(fault.tests)
    finally:
        write(copy.path, fault.file, sound)


class Bench:
    """Copies of the code, one more than there are processors, for some tests only wait; use it with `with`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._free: SimpleQueue[Copy] = SimpleQueue()

    def __enter__(self) -> Self:
        self._copies = [Copy(os.path.join(self._folder, str(number))) for number in range((os.cpu_count() or 1) + 1)]
        for copy in self._copies:
            self._free.put(copy)
        return self

    def __exit__(self, *_: object) -> None:
        for copy in self._copies:
            copy.close()

    def each(self, work: Callable[[Copy, T], Run], things: Iterable[T]) -> Iterator[Run]:
        """Do some work with each thing, each on a copy that nobody else has then; their runs in order."""

        def run(thing: T) -> Run:
            copy = self._free.get()
            try:
                return work(copy, thing)
            finally:
                self._free.put(copy)

        with ThreadPoolExecutor(len(self._copies)) as pool:
            yield from pool.map(run, things)


class Copy:
    """A copy of the code, with an environment of its own, and a process that runs the copy's tests."""

    def __init__(self, folder: str) -> None:
        os.mkdir(folder)
        self.path = make_copy(folder)
        self._output = os.path.join(folder, "output")
        # Where all runs share a folder for temporary files, one may stumble over another that clears it.
        self._pytest = (*PYTEST, f"--basetemp={os.path.join(folder, 'temporary')}")
        self._warm = subprocess.Popen(
            [python_of(self.path), WARM],
            cwd=self.path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_tests(self, tests: list[str]) -> Run:
        """Run some tests on the copy."""
        start, asked, answered = time.monotonic(), self._warm.stdin, self._warm.stdout
        assert asked is not None
        assert answered is not None
        print(json.dumps([[*self._pytest, *tests], self._output, LIMIT_S]), file=asked, flush=True)
        status = json.loads(answered.readline())
        return Run(status, read("", self._output), time.monotonic() - start)

    def close(self) -> None:
        """End the process."""
        self._warm.communicate()


def make_copy(folder: str) -> str:
    """A copy of the code, with an environment of its own beside it that imports from the copy; returns its path."""
    copy = os.path.join(folder, "copy")
    os.mkdir(copy)
    for name in COPIED:
        source, target = os.path.join(ROOT, name), os.path.join(copy, name)
        shutil.copytree(source, target, ignore=LEFT_OUT) if os.path.isdir(source) else shutil.copy(source, target)
    environment = os.path.join(folder, "venv")
    venv.create(environment, symlinks=os.name != "nt")
    # Packages come from the running environment; its own .pth file, which names the code itself, is not read there.
    paths = [os.path.join(copy, "core"), *glob.glob(os.path.join(copy, "plugins", "*")), sysconfig.get_path("purelib")]
    with open(os.path.join(site_packages(environment), "copy.pth"), "w", encoding="utf-8") as file:
        file.write("\n".join(paths) + "\n")
    script = os.path.join(environment, "bin", "keyfob")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(python=python_of(copy)))
    os.chmod(script, 0o755)
    return copy


def site_packages(environment: str) -> str:
    """Where packages are in an environment."""
    return sysconfig.get_path("purelib", "venv", {"base": environment, "platbase": environment})


def python_of(copy: str) -> str:
    """The interpreter that imports from the copy."""
    return os.path.join(os.path.dirname(copy), "venv", "bin", "python")


def report(fault: Fault, run: Run) -> bool:
    """Say how it went; whether the fault was found."""
    found = run.status in (FAILED, None)
    verdict = "found  " if found else "MISSED " if run.status == PASSED else "UNKNOWN"
    print(f"{verdict} {run.seconds:4.1f} s  {fault.file}: {fault.why}", flush=True)
    if not found:
        print(f"         {fault.old!r} → {fault.new!r}, with {' '.join(fault.tests)}\n{run.output}")
    return found


def read(folder: str, name: str) -> str:
    """The text of a file."""
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


# Python takes what it compiled of a file for as long as its size and the second of its last change are the same.
_changes = itertools.count(1)


def write(folder: str, name: str, text: str) -> None:
    """Replace a file by text of another time than it ever had."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.utime(path, (next(_changes) * 2,) * 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
