"""A renewal in a process of its own session, without a terminal, that nobody who kills the command kills with it.

The command waits for it, as long as a thread would be waited for. What came of it stands in the store; why it failed,
the child says on its stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from keyfob import errors
from keyfob.cli.situation import Situation
from keyfob.cli.unprinted import unprinted
from keyfob.errors import KeyfobError, RenewalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.credentials.record import Record
    from keyfob.credentials.renewal import Renewal


@dataclass(frozen=True, slots=True)
class Task:
    """What the child needs in order to do the same as the command would: no secret, that is in the store.

    fingerprint: the state of the record that the command knows.
    """

    provider: str
    fingerprint: str
    forced: bool
    wait: bool
    situation: Situation


def renew(renewal: Renewal, task: Task, environ: Mapping[str, str]) -> Future[Record]:
    """Renew in a child. What comes of it is waited for in a thread; the child itself needs nobody."""
    future: Future[Record] = Future()
    threading.Thread(target=_wait, args=(future, renewal, task, environ), name="keyfob-renewal", daemon=True).start()
    return future


def _wait(future: Future[Record], renewal: Renewal, task: Task, environ: Mapping[str, str]) -> None:
    try:
        _told(_run(task, environ))
        record = renewal.current()
    except Exception as error:  # noqa: BLE001  # it is raised where the future is asked
        future.set_exception(error)
    else:
        future.set_result(record)


def possible() -> bool:
    """Whether this interpreter can be started again: embedded it has no path, frozen its path is another program's."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _run(task: Task, environ: Mapping[str, str]) -> bytes:
    """What the child says: nothing, or an error."""
    try:
        child = subprocess.Popen(
            _command(),
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            creationflags=_DETACHED,
        )
    except OSError as error:
        raise RenewalError(f"{task.provider}: the renewal cannot be started: {error.strerror}") from error
    said, _ = child.communicate(json.dumps(asdict(task)).encode())
    if child.returncode != 0 and not said:
        message = f"{task.provider}: the process that renews the login ended with {child.returncode}"
        raise RenewalError(message, hint="try again: nothing that it got is lost")
    return said


def _command() -> list[str]:
    """This interpreter, as it was started itself: what it did not look at, its child must not either."""
    flags = [flag for name, flag in _INHERITED.items() if getattr(sys.flags, name)]
    # -P: nothing is imported from the current folder.
    return [sys.executable, *flags, "-P", "-m", "keyfob.cli.detached"]


_INHERITED = {"isolated": "-I", "ignore_environment": "-E", "no_user_site": "-s", "no_site": "-S"}

# Windows knows no sessions: there, this takes it from the console and the command's group.
if sys.platform == "win32":
    _DETACHED = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _DETACHED = 0


def _told(said: bytes) -> None:
    """Raise the error that the child had."""
    if not said:
        return
    found = json.loads(said)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeyfobError)]
    kind = next((kind for kind in kinds if kind.code == found["code"]), RenewalError)
    raise kind(found["message"], hint=found["hint"])


def main() -> None:
    """The child."""
    try:
        said = json.load(sys.stdin)
        task = Task(**{**said, "situation": Situation(**said["situation"])})
    except ValueError:  # the command was gone before it had said what to do
        return
    # From here on nothing is read or written where the command is: it may be gone.
    try:
        with unprinted():
            _renew(task)
    except KeyfobError as error:
        _say(error.code, str(error), error.hint)
    except Exception as error:  # noqa: BLE001  # its text could hold anything
        _say("internal", f"{task.provider}: internal error in the renewal: {type(error).__name__}", None)


def _say(code: str, message: str, hint: str | None) -> None:
    """Tell the command, if it is still there, and end: what stdout could not take must not be tried again."""
    with contextlib.suppress(OSError):
        print(json.dumps({"code": code, "message": message, "hint": hint}), flush=True)
    os._exit(1)


def _renew(task: Task) -> None:
    host = task.situation.host()
    login = host.provider(task.provider).login
    record = login.stored() if login else None
    if login and login.renewal and record and record.fingerprint == task.fingerprint:
        try:
            login.renewal.run(record, forced=task.forced, wait=task.wait)
        finally:
            host.heard()


if __name__ == "__main__":
    main()
