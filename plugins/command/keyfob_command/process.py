"""One run of a program: no shell, no standard input, bounded in time and output, and nothing of it left behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# Far more than any token; of stderr the end is passed on, where programs say what went wrong.
STDOUT_LIMIT = 65_536
STDERR_LIMIT = 2_048
# The system's calls take no wait of years, as `timeout_ms` may be; those that wait longer wait again.
_LONGEST_WAIT = 3_600.0

_running: set[subprocess.Popen[bytes]] = set()


class Failure(Exception):
    """The run came to nothing. `str` goes on after "command X "."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended by itself. `stderr` is its end, trimmed, without control characters."""

    status: int
    stdout: bytes
    stderr: str


def run(argv: Sequence[str], *, cwd: str | None, environ: Mapping[str, str], timeout: float) -> Finished:
    """Run a program and wait for it to end and to close its output; `timeout` in seconds.

    At the time-out its process group is killed; so it is at Ctrl-C, which the group, a session of its own, does not
    see. What left the group lives on, but is not waited for. Raises Failure.
    """
    deadline = time.monotonic() + timeout
    process = _start([program(argv[0], cwd, environ), *argv[1:]], cwd, environ)
    try:
        with _killed_unless_done(process):
            stdout, stderr = _output(process, deadline)
            _wait(process, deadline)
    except subprocess.TimeoutExpired:
        ended = process.returncode != _KILLED
        held = ": it ended, but something that it started still holds its output" if ended else ""
        raise Failure(f"timed out after {round(timeout * 1000)} ms{held}", timed_out=True) from None
    return Finished(process.returncode, stdout, _clean(stderr))


def program(name: str, cwd: str | None, environ: Mapping[str, str]) -> str:
    """The file to run: a path as it is, or from `cwd`; a bare name is looked for in PATH. Raises Failure."""
    if os.path.dirname(name):
        return os.path.join(cwd or "", name)
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        raise Failure("is not in PATH")
    return os.path.abspath(found)


def check(name: str, cwd: str | None, environ: Mapping[str, str]) -> None:
    """Raise Failure if it can be told without running it that the program cannot run."""
    file = program(name, cwd, environ)
    _check_folder(cwd)
    if not os.path.isfile(file):
        raise Failure("is not there")
    if not os.access(file, os.X_OK):
        raise Failure("is not executable")


def _check_folder(cwd: str | None) -> None:
    if cwd is not None and not os.path.isdir(cwd):
        raise Failure(f"cannot run: its folder {cwd} is not there")


def _start(argv: list[str], cwd: str | None, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    _check_folder(cwd)
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise Failure(f"cannot run: {error.strerror}") from error
    except ValueError as error:  # a NUL, or what the file system's encoding has no bytes for
        raise Failure("cannot run: an argument or an environment variable cannot be handed on") from error


@contextlib.contextmanager
def _killed_unless_done(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends the wait early also ends the program; our ends of its pipes are closed in any case."""
    _running.add(process)
    try:
        yield
    except BaseException:
        _kill_group(process)
        raise
    finally:
        _running.discard(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@atexit.register
def _kill_what_runs() -> None:
    """At the end of the program nobody waits for them any more; the threads that did are gone without notice."""
    for process in list(_running):
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group, and collect the process; it is collected only here, so its id is still its own."""
    if sys.platform == "win32":  # has no process groups: what the program started lives on
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if sys.platform == "win32":
    _KILLED = 1

    def _output(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
        stdout, stderr = process.communicate(timeout=_left(deadline))
        return _bounded(stdout), stderr[-STDERR_LIMIT:]

else:
    _KILLED = -signal.SIGKILL

    def _output(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
        """All of stdout and the end of stderr, read side by side, so that the program never blocks on either."""
        assert process.stdout is not None  # noqa: S101  # both were asked for
        assert process.stderr is not None  # noqa: S101  # for the type checker
        stdout, stderr = b"", b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(_left(deadline)):
                    chunk = os.read(key.fd, STDOUT_LIMIT)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        stdout = _bounded(stdout + chunk)
                    else:
                        stderr = (stderr + chunk)[-STDERR_LIMIT:]
        return stdout, stderr


def _bounded(stdout: bytes) -> bytes:
    if len(stdout) > STDOUT_LIMIT:
        raise Failure(f"printed more than {STDOUT_LIMIT} bytes")
    return stdout


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    while process.returncode is None:
        left = _left(deadline)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(left)


def _left(deadline: float) -> float:
    """Seconds to wait at the most. Raises TimeoutExpired where none is left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise subprocess.TimeoutExpired("", 0)
    return min(left, _LONGEST_WAIT)


def _clean(stderr: bytes) -> str:
    """What the program wrote to stderr, fit to be printed: control characters could move a terminal's cursor."""
    text = stderr.decode(errors="replace")
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text).strip()
