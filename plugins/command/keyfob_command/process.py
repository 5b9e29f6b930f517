"""One run of a program: no shell, no standard input, bounded in time and output, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

# Far more than any token, far less than what hurts: 64 KiB of output are an error, of stderr 2 KiB are passed on.
STDOUT_LIMIT = 65_536
STDERR_LIMIT = 2_048


class Failure(Exception):
    """The run came to nothing. `str` goes on after "command X "."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended by itself. `stderr` is trimmed, without control characters."""

    status: int
    stdout: bytes
    stderr: str


def run(argv: Sequence[str], *, cwd: str | None, environ: Mapping[str, str], timeout: float) -> Finished:
    """Run a program and wait for it to end and to close its output; `timeout` in seconds.

    At the time-out its process group is killed, with it whatever it left running. Raises Failure.
    """
    deadline = time.monotonic() + timeout
    process = _start([_program(argv[0], cwd, environ), *argv[1:]], cwd, environ)
    out, err = _Reader(process.stdout, STDOUT_LIMIT, process), _Reader(process.stderr, STDERR_LIMIT)
    complete = False
    try:
        complete = _wait(process, (out, err), deadline)
    finally:  # on Ctrl-C too: the program is in a session of its own and has not seen it
        if not complete:
            alone = process.poll() is None
            _kill_group(process)
    if out.overflow:
        raise Failure(f"printed {STDOUT_LIMIT} bytes or more")
    if not complete:
        still = "" if alone else ": it ended, but something it started still holds its output"
        raise Failure(f"timed out after {round(timeout * 1000)} ms{still}", timed_out=True)
    return Finished(process.returncode, bytes(out.data), _clean(bytes(err.data)))


def _program(name: str, cwd: str | None, environ: Mapping[str, str]) -> str:
    """The file to run: a path as it is, or from `cwd`; a bare name is looked for in PATH."""
    if os.path.dirname(name):
        return os.path.join(cwd or "", name)
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None:
        raise Failure("is not in PATH")
    return found


def _start(argv: list[str], cwd: str | None, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    if cwd is not None and not os.path.isdir(cwd):
        raise Failure(f"cannot run: its folder {cwd} is not there")
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Failure(f"cannot run: {error.strerror}") from error
    except ValueError as error:  # a NUL in an argument or in the environment
        raise Failure("cannot run: an argument or an environment variable has a NUL") from error


class _Reader(threading.Thread):
    """Reads a pipe to its end, so that the program never blocks on it, and keeps the first `limit` bytes."""

    def __init__(self, pipe: IO[bytes] | None, limit: int, kill: subprocess.Popen[bytes] | None = None) -> None:
        super().__init__(name="keyfob-command", daemon=True)
        self.data = bytearray()
        self.overflow = False
        self._pipe, self._limit, self._kill = pipe, limit, kill
        self.start()

    def run(self) -> None:
        assert self._pipe is not None  # noqa: S101  # both were asked for as pipes
        with self._pipe as pipe:
            while chunk := pipe.read1():  # type: ignore[attr-defined]  # a pipe's reader is buffered
                self.data += chunk[: self._limit - len(self.data)]
                if len(self.data) == self._limit and self._kill is not None:
                    self.overflow = True
                    _kill_group(self._kill)


def _wait(process: subprocess.Popen[bytes], readers: Sequence[_Reader], deadline: float) -> bool:
    """Whether the process ended and closed its output before the deadline (seconds of the monotonic clock)."""
    try:
        process.wait(deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        return False
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    return not any(reader.is_alive() for reader in readers)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group, and collect the process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _clean(stderr: bytes) -> str:
    """What the program wrote to stderr, fit to be printed: control characters could move a terminal's cursor."""
    text = stderr.decode(errors="replace").strip()
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
