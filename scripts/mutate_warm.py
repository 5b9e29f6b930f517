"""Runs tests again and again, each time in a fork of a process that has imported what most of them need, but no keyfob.

scripts/mutate.py starts one for each copy of the code, with the copy as its folder and an interpreter that imports from
it. For each run it reads a line of JSON from its standard input: [pytest's arguments, the file for what it prints, the
seconds that it may take]; and answers with a line: pytest's exit code, or null at the time limit.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
from typing import Final

import pytest

# None that looks at the environment while it is imported, which the tests have yet to set.
IMPORTED: Final = ("httpx", "httpx2", "openai", "pydantic", "trio", "trustme", "vcr")


def main() -> None:
    """Import, then fork for each line."""
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it
    warm_up()
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), flush=True)


def warm_up() -> None:
    """Import pytest's plugins, in the way that pytest wants, then IMPORTED."""
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-c", os.devnull, "--markers", "-p", "hypothesis"])  # its plugin would import it later
    for name in IMPORTED:
        importlib.import_module(name)


def run(arguments: list[str], output: str, limit_s: float) -> int | None:
    """Run pytest in a fork; at the time limit it is killed, with the processes that it started."""
    child = os.fork()
    if not child:
        run_here(arguments, output)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def run_here(arguments: list[str], output: str) -> None:
    """Run pytest in this process, which nobody can speak to, and end it."""
    os.setsid()
    # An exception that pytest lets through ends `python -m pytest` with this: a warning, say, after the last test.
    status: int = pytest.ExitCode.TESTS_FAILED
    try:
        with open(os.devnull) as nothing, open(output, "w", encoding="utf-8") as file:
            os.dup2(nothing.fileno(), 0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        status = pytest.main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  # its process ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
