"""Trial: each plugin is loaded in a process of its own first, where it can neither harm this one nor hold it up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from keyfob.cli import trial_child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.cli.run import Session
    from keyfob.routing.installed import Declaration

# Seconds that one plugin may take to be loaded, and opened for the entries that need it.
LIMIT = 5.0


def problems(declared: Sequence[Declaration], session: Session) -> dict[Declaration, str | None]:
    """What is wrong with each of these plugins, None where nothing is; a process for each, a few at once."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
        return dict(zip(declared, workers.map(partial(_problem, session), declared), strict=True))


def _problem(session: Session, declared: Declaration) -> str | None:
    with tempfile.TemporaryFile() as answer:  # not a pipe, which something the plugin leaves behind could hold open
        status = _run(declared, session, answer.fileno())
        answer.seek(0)
        verdict = answer.read().decode()
    if verdict == trial_child.SOUND:
        return None
    if status is None:
        return f"{declared}: {declared.module} was not loaded within {LIMIT:g} s"
    return verdict or f"{declared}: {declared.module} ended the process that loaded it, with status {status}"


def _run(declared: Declaration, session: Session, answer: int) -> int | None:
    """Run the child; its status, or None if it took too long. Its folder and PYTHON* variables lend it no module."""
    flags = ["-P", "-E", *(["-s"] if sys.flags.no_user_site else [])]
    with tempfile.TemporaryFile() as task:  # not its arguments, which everybody can see
        task.write(json.dumps({"declaration": asdict(declared), "situation": asdict(session.situation)}).encode())
        task.seek(0)
        process = subprocess.Popen(
            [sys.executable, *flags, "-m", trial_child.__name__],
            env=dict(session.environ),
            stdin=task,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        return process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process, and what it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
