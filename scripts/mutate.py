"""Applies each fault of faults.toml, alone, to a copy of the code, and sees whether the tests find it."""

from __future__ import annotations

import glob
import itertools
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
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COPIED: Final = ("core", "plugins", "scripts", "tests", "pyproject.toml")
LEFT_OUT: Final = shutil.ignore_patterns("node_modules", ".*_cache", "__pycache__")
LIMIT_S: Final = 180  # a fault that makes a test wait for ever is found as well
PYTEST: Final = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not e2e and not slow")
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
    if astray or not sound(faults):
        return 1
    with tempfile.TemporaryDirectory(prefix="keyfob-mutate-") as folder:
        found = [report(fault, run) for fault, run in zip(faults, tried(faults, folder), strict=True)]
    print(f"{found.count(True)} of {len(faults)} faults were found")
    return 0 if all(found) else 1


def read_faults() -> list[Fault]:
    """The faults of the table, in its order."""
    with open(os.path.join(ROOT, "scripts", "faults.toml"), "rb") as file:
        return [Fault(**fault) for fault in tomllib.load(file)["fault"]]


def sound(faults: list[Fault]) -> bool:
    """Whether the tests pass without any fault: where they fail anyway, they would seem to find each."""
    tests = sorted({test for fault in faults for test in fault.tests})
    with tempfile.TemporaryDirectory(prefix="keyfob-mutate-") as folder:
        run = run_tests(make_copy(folder), tests)
    if run.status != PASSED:
        print(f"The tests fail without any fault:\n{run.output}")
    return run.status == PASSED


def tried(faults: list[Fault], folder: str) -> Iterator[Run]:
    """Run each fault's tests, as many at once as there are processors, each time on a copy that nobody else has."""
    count = os.cpu_count() or 1
    copies: SimpleQueue[str] = SimpleQueue()
    for number in range(count):
        os.mkdir(own := os.path.join(folder, str(number)))
        copies.put(make_copy(own))

    def run(fault: Fault) -> Run:
        copy = copies.get()
        try:
            return run_with(fault, copy)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(run, faults)


def run_with(fault: Fault, copy: str) -> Run:
    """Run a fault's tests on a copy that has the fault, and none after it."""
    sound = read(copy, fault.file)
    write(copy, fault.file, sound.replace(fault.old, fault.new))
    try:
        return run_tests(copy, fault.tests)
    finally:
        write(copy, fault.file, sound)


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


def run_tests(copy: str, tests: list[str]) -> Run:
    """Run some tests on the copy."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [python_of(copy), *PYTEST, *tests],
            cwd=copy,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Run(None, "", time.monotonic() - start)
    return Run(done.returncode, done.stdout + done.stderr, time.monotonic() - start)


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
