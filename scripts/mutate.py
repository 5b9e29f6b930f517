"""Applies each fault of faults.toml, alone, to a copy of the code, and sees whether the tests find it."""

from __future__ import annotations

import glob
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
from typing import Final

ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COPIED: Final = ("core", "plugins", "scripts", "tests", "pyproject.toml")
LEFT_OUT: Final = shutil.ignore_patterns("node_modules", ".*_cache")
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
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [report(fault, run) for fault, run in zip(faults, pool.map(run_with, faults), strict=True)]
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


def run_with(fault: Fault) -> Run:
    """Run a fault's tests on a copy that has the fault."""
    with tempfile.TemporaryDirectory(prefix="keyfob-mutate-") as folder:
        copy = make_copy(folder)
        faulty = read(copy, fault.file).replace(fault.old, fault.new)
        with open(os.path.join(copy, fault.file), "w", encoding="utf-8") as file:
            file.write(faulty)
        return run_tests(copy, fault.tests)


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
            [python_of(copy), *PYTEST, *tests], cwd=copy, capture_output=True, text=True, timeout=LIMIT_S, check=False
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
