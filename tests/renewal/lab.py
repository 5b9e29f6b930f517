"""Logins at the fake issuer, and programs that renew them and are killed while they do."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from keyfob import Host
from keyfob.config.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyfob.credentials.login import Login
    from keyfob.testing.issuer import Issuer

PROGRAM = os.path.join(os.path.dirname(__file__), "program.py")
PATIENCE = 30.0
CONFIG = '[model_providers.lab]\nbase_url = "%s"\nrequires_openai_auth = true\n'
NOWHERE = "http://127.0.0.1:9/v1"

_numbers = itertools.count()


class Signed:
    """A CODEX_HOME with a login whose access token expires in so many seconds, or has expired."""

    def __init__(self, root: Path, issuer: Issuer, *, expires_in: float = -1, base_url: str = NOWHERE) -> None:
        self.folder = root / f"codex-{next(_numbers)}"
        self.folder.mkdir()
        (self.folder / "config.toml").write_text(CONFIG % base_url)
        self.issuer = issuer
        self.path = str(self.folder / "auth.json")
        self.sign_in(expires_in)

    def sign_in(self, expires_in: float = -1) -> None:
        """Put a new login there."""
        data = self.issuer.login(expires_in=expires_in)
        self.first = data["tokens"]["refresh_token"]
        with open(f"{self.path}.tmp", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(data, file)
        os.replace(f"{self.path}.tmp", self.path)

    @property
    def environ(self) -> dict[str, str]:
        """For a program that works with this login."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        cache = str(self.folder / "cache")
        return {**kept, "CODEX_HOME": str(self.folder), "XDG_CACHE_HOME": cache, **self.issuer.environ}

    @property
    def login(self) -> Login:
        """The login as keyfob sees it."""
        home = str(self.folder)
        host = Host(self.issuer.environ, places=Places(home, system=f"{home}/system", cache=f"{home}/cache"))
        login = host.provider("lab").login
        assert login
        return login

    @property
    def tokens(self) -> dict[str, Any]:
        """What is on the disk."""
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)["tokens"]

    @property
    def alive(self) -> bool:
        """Whether the issuer would still take what is on the disk."""
        return self.issuer.is_current(self.tokens["refresh_token"])

    @property
    def presented(self) -> list[str]:
        """The refresh tokens of this login's family that the issuer was shown, in order."""
        family = self.first.split("-", 2)[2]
        shown = [str(each.fields.get("refresh_token")) for each in self.issuer.presented]
        return [token for token in shown if token.split("-", 2)[2:] == [family]]

    @property
    def row(self) -> str:
        """Which row of renewal.md's table the disk is in."""
        login = self.login
        record, journal, stage = login.stored(), login.store.journal(), login.store.stage()
        assert record
        if stage and stage.parent == record.fingerprint:
            return "stage of the disk's"
        intent = journal.intent
        if intent is None:
            return "no intent"
        if intent.fingerprint != record.fingerprint:
            return "not the intent's"
        if not intent.sent:
            return "not sent"
        return "sent once" if intent.attempt == 1 else "sent twice"


@dataclass(frozen=True)
class Point:
    """Just before a system call: the how manieth of that name, of those on `path` if that is given."""

    name: str
    count: int
    path: str | None = None

    @property
    def options(self) -> list[str]:
        """How strace kills there."""
        where = ["-P", self.path] if self.path else []
        return [*where, "-e", f"trace={self.name}", "-e", f"inject={self.name}:signal=KILL:when={self.count}"]


class Program:
    """`program.py`, for `with`."""

    def __init__(self, first: Signed) -> None:
        self._first = first

    def __enter__(self) -> Self:
        command = [sys.executable, "-W", "error", PROGRAM, str(self._first.folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=self._first.environ, stdin=pipe, stdout=pipe, text=True)
        assert "token" in json.loads(self._line())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def _start(self, home: Signed) -> int:
        assert self._process.stdin
        self._process.stdin.write(f"{home.folder}\n")
        self._process.stdin.flush()
        return int(self._line().removeprefix("pid "))

    def _end(self) -> dict[str, Any] | None:
        """What the process got, None if it was killed."""
        line = self._line()
        if line == "end -9":
            return None
        assert self._line() == "end 0"
        return json.loads(line)

    def run(self, home: Signed) -> dict[str, Any]:
        """Start a process; what it got."""
        self._start(home)
        got = self._end()
        assert got is not None
        return got

    def watched(self, home: Signed, options: list[str]) -> dict[str, Any] | None:
        """The same, where strace looks at the thread that renews, from when it waits for the lock on."""
        with held(f"{home.path}.keyfob.lock"):
            process = self._start(home)
            thread = _waiting_thread(process, f"{home.path}.keyfob.lock")
            tracer = subprocess.Popen(["strace", *options, "-p", str(thread)], stderr=subprocess.PIPE, text=True)
            assert tracer.stderr
            said = tracer.stderr.readline()
            assert "attached" in said, said
        got = self._end()
        tracer.communicate(timeout=PATIENCE)
        return got

    def killed(self, home: Signed, point: Point) -> None:
        """Start a process and kill it there."""
        assert self.watched(home, ["-o", os.devnull, *point.options]) is None, f"{point} was not reached"

    def points(self, home: Signed, folder: Path, names: tuple[str, ...]) -> list[Point]:
        """Every call of these names that one renewal makes between lock and unlock."""
        log = str(folder / f"{home.folder.name}.strace")
        # Waiting for its lock, the thread calls flock who knows how often: those of other locks are told by their path.
        self.watched(home, ["-y", "-o", log, "-e", f"trace=flock,{','.join(names)}"])
        with open(log, encoding="utf-8", errors="replace") as file:
            calls = re.findall(r"^(\w+)\((.*)", file.read(), re.MULTILINE)
        counts: dict[str, int] = {}
        points = []
        for name, arguments in calls:
            if name == "flock":
                other = re.match(r"\d+<([^>]*auth(?:\.json)?\.lock)>, LOCK_EX", arguments)
                points += [Point(name, 1, os.path.relpath(other[1], home.folder))] if other else []
            else:
                counts[name] = counts.get(name, 0) + 1
                points.append(Point(name, counts[name]))
        return points


def _waiting_thread(process: int, lock: str) -> int:
    """The thread of a process that renews, once it waits for the lock."""
    for _ in _until():
        opened = [_link(f"/proc/{process}/fd/{each}") for each in os.listdir(f"/proc/{process}/fd")]
        threads = [int(each) for each in os.listdir(f"/proc/{process}/task") if int(each) != process]
        if lock in opened and threads:
            return threads[0]
    raise AssertionError("no thread waits for the lock")


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _until() -> Iterator[None]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        yield
        time.sleep(0.002)


@contextmanager
def held(path: str) -> Iterator[None]:
    """Hold a lock, as another process would."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
