"""A sign-in that waits for its browser, in a thread of its own, and what a browser asks it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from keyfob.plugin.oauth import AuthorizationRequest, authorize

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.plugin.oauth import AuthorizationCode

PATIENCE = 20.0
ISSUER = "https://login.example"
CODE = "the-code-that-nobody-may-see"
WANTED = AuthorizationRequest(f"{ISSUER}/authorize", "cli", name="corp")


@dataclass
class Person:
    """Who signs in: notes what is said, and is there until the sign-in is over. pastes: the lines."""

    said: list[str] = field(default_factory=list)
    address: str = ""
    opened: threading.Event = field(default_factory=threading.Event)
    pastes: Callable[[], tuple[str, ...]] = tuple
    refused: list[str | None] = field(default_factory=list)
    gives_up: BaseException | None = None

    def say(self, message: str) -> None:
        self.said.append(message)

    def show(self, line: str) -> None:
        raise AssertionError

    def secret(self, what: str, whom: str) -> str:
        raise AssertionError

    def visit(self, url: str, port: int) -> None:
        assert f"%3A{port}%2F" in url
        self.address = url
        self.opened.set()

    def wait(
        self,
        seconds: float,
        *,
        left: float,
        done: threading.Event | None = None,
        typed: Callable[[str], str | None] | None = None,
    ) -> None:
        assert done is not None
        assert typed is not None
        self.refused += map(typed, self.pastes())
        if self.gives_up is not None:
            raise self.gives_up
        done.wait(seconds)


class SlowSave:
    """Saves a login for as long as the test wants. begun: it was asked to; may_end: for the test to set."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)


@dataclass(frozen=True)
class Seen:
    """What a browser was answered. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    text: str


class SignIn:
    """For `with`: waits for its browser from the start; afterwards it has ended, and left nothing behind.

    save: what is done with the grant. grant, error: what came of it.
    """

    def __init__(
        self,
        wanted: AuthorizationRequest = WANTED,
        save: Callable[[], None] = lambda: None,
        *,
        seconds: float = PATIENCE,
        person: Person | None = None,
    ) -> None:
        self.person = person or Person()
        self.grant: AuthorizationCode | None = None
        self.error: BaseException | None = None
        self._wanted, self._save, self._seconds = wanted, save, seconds
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with authorize(self._wanted, self.person, self._seconds) as self.grant:
                self._save()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.person.opened.wait(PATIENCE)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self._thread.is_alive():
            self.get("/cancel")
        self.ended()

    def ended(self) -> None:
        """Wait until it is over; then no thread of it is left, and its port is free."""
        self.join()
        assert "sign-in" not in [thread.name for thread in threading.enumerate()]
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", self.port))
            again.listen()

    def join(self) -> None:
        """Wait until it is over."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def asked(self) -> dict[str, str]:
        """The authorization request."""
        return dict(parse_qsl(urlsplit(self.person.address).query))

    @property
    def port(self) -> int:
        return urlsplit(self.asked["redirect_uri"]).port or 0

    def callback(self, **fields: str) -> str:
        """What the issuer sends the browser to: a code, if nothing else is said."""
        answer = {"code": CODE, "state": self.asked["state"]} | fields
        return f"{self._wanted.path}?{urlencode(answer)}"

    def get(self, target: str, *, method: str = "GET", host: str | None = None, **headers: str) -> Seen:
        """Ask as a browser does; `_` in the name of a header stands for `-`."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in ({"Host": host or f"127.0.0.1:{self.port}"} | headers).items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Seen(answer.status, names, answer.read().decode())

    def browse(self, target: str) -> Seen:
        """Ask, and go where one is sent."""
        seen = self.get(target)
        return self.get(seen.headers["location"]) if seen.status == 303 else seen

    def raw(self, sent: bytes) -> bytes:
        """Say this, and hear all that is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            with contextlib.suppress(OSError):  # it may have heard enough before all is said
                connection.sendall(sent)
            heard = b""
            while part := connection.recv(65536):
                heard += part
            return heard


def wanted(**changes: Any) -> AuthorizationRequest:
    """The usual, but for these."""
    return replace(WANTED, **changes)
