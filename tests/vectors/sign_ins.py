"""What the sign-ins of recorded runs met: an issuer with the recorded tokens, somebody with a browser, busy ports."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx

import keyfob_openai.sign_in
from keyfob.cli.interaction import AtTerminal
from keyfob.testing.answers import Answer
from keyfob.testing.issuer import Issuer

from .recorded import SIGN_IN
from .tokens import login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pytest

    from .recorded import Outcome, Vector

COMPUTED = "<computed>"


class RecordedIssuer(Issuer):
    """Checks what it is asked, as ever, and gives the recorded tokens. filled: puts tokens for placeholders."""

    def __init__(self, vector: Vector, filled: Callable[[str], str]) -> None:
        super().__init__()
        self._vector, self._filled = vector, filled
        for key in SIGN_IN & set(vector.answers):
            self.sign_in.answers[key] = [self._scripted(key, each) for each in vector.answers[key]]

    def _scripted(self, key: str, scripted: Any) -> Any:
        match key, scripted:
            case "authorize", str():
                return lambda _, asked: self._sent_back(asked)
            case "device.usercode", [_, told]:
                self.sign_in.interval = told.get("interval")
                self.sign_in.code_name = "usercode" if "usercode" in told else "user_code"
                return None
            case _, [status, str(text)]:
                return status, text.encode()
            case _:
                return None if scripted == COMPUTED else scripted  # see `signed_in`

    def _sent_back(self, asked: Mapping[str, str]) -> Answer:
        """To where the recorder sent the browser, with the state of this run."""
        recorded = re.findall(r"location: (\S+)", self._vector.run["browser.log"])[0]
        state = parse_qs(urlsplit(self._vector.run["browser.urls"].strip()).query)["state"][0]
        here = urlsplit(recorded)._replace(netloc=urlsplit(asked["redirect_uri"]).netloc)
        return Answer(302, {"Location": here.geturl().replace(state, asked["state"])}, body="")

    def signed_in(self) -> dict[str, Any]:
        """What the recorder's issuer gave."""
        name = self._vector.name
        tokens = login("new", "None" if name == "browser_no_account_claim" else "acct-1")
        if name == "browser_token_missing_refresh":
            del tokens["refresh_token"]
        given: dict[str, Any] = json.loads(self._filled(json.dumps(tokens)))
        return given


class Somebody:
    """Who signs in: has a browser that goes where it is sent, and gives up when it is of no use.

    with_browser: whether one opens. page: the status of what it showed last. pauses: between polls, in seconds.
    """

    def __init__(self, *, with_browser: bool) -> None:
        self._with_browser = with_browser
        self._browser: threading.Thread | None = None
        self.page: int | None = None
        self.pauses: list[int] = []

    def sit_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the terminal."""
        monkeypatch.setattr(AtTerminal, "visit", lambda _, url, port: self._visit(url))
        monkeypatch.setattr(AtTerminal, "wait", lambda _, seconds, **more: self._wait(seconds, more.get("done")))

    def _visit(self, url: str) -> None:
        if self._with_browser:
            self._browser = threading.Thread(target=self._browse, args=(url,))
            self._browser.start()

    def _browse(self, url: str) -> None:
        with httpx.Client(trust_env=False, verify=False, follow_redirects=True, timeout=30) as client:
            self.page = client.get(url).status_code

    def _wait(self, seconds: float, done: threading.Event | None) -> None:
        if done is None:
            self.pauses.append(round(seconds))
            return
        while self._browser is not None and self._browser.is_alive() and not done.wait(0.01):
            pass
        if not done.is_set():
            raise KeyboardInterrupt

    def leave(self) -> None:
        """Let the browser show its last page."""
        if self._browser is not None:
            self._browser.join()


class Ports:
    """Other ports in the place of the browser sign-in's, so that tests do not meet there. busy: whether both are held.

    heard: what was said to who holds them.
    """

    def __init__(self, *, busy: bool) -> None:
        self.busy = busy
        self.heard: list[str] = []
        self._real: tuple[int, ...] = keyfob_openai.sign_in._PORTS
        self._listeners = [_listener() for _ in self._real]
        self._others = [listener.getsockname()[1] for listener in self._listeners]

    def __enter__(self) -> Self:
        for listener in self._listeners:
            if self.busy:
                threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
            else:
                listener.close()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()

    def take_the_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the sign-in use them."""
        monkeypatch.setattr("keyfob_openai.sign_in._PORTS", tuple(self._others))
        monkeypatch.setattr("keyfob.plugin.oauth.ports._BETWEEN", 0.0)

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    self.heard.append(connection.recv(4096).decode())

    def told(self, text: str) -> str:
        """The text with the real ones in it."""
        for other, real in zip(self._others, self._real, strict=True):
            for colon in (":", "%3A"):
                text = text.replace(f"127.0.0.1{colon}{other}", f"127.0.0.1{colon}{real}")
        return text


def _listener() -> socket.socket:
    """On a port that the kernel gives to nobody by itself."""
    choice = random.Random(os.urandom(8))
    while True:
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", choice.randrange(20_000, 32_000)))


@dataclass(frozen=True)
class SigningIn:
    """All that a sign-in meets."""

    issuer: RecordedIssuer
    somebody: Somebody
    ports: Ports

    def added_to(self, outcome: Outcome) -> Outcome:
        """What came of it, with what the others saw of it."""
        polled = any(each.endpoint == "device.token" for each in self.issuer.asked)
        return replace(
            outcome,
            page=self.somebody.page,
            pauses=self.somebody.pauses if polled else None,
            heard=[self.ports.told(line) for line in self.ports.heard] if self.ports.busy else None,
        )


def signs_in(vector: Vector) -> bool:
    """Whether there is a sign-in in the run, or an attempt at one."""
    return any(step["do"] in ("login", "login_device") for step in vector.run["steps"])


@contextmanager
def signing_in(vector: Vector, filled: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SigningIn]:
    """The scene of a run. filled: puts tokens for placeholders."""
    given = next(iter(vector.run["given"].get("steps", ())), {})
    somebody = Somebody(with_browser="BROWSER" not in given.get("env", {}))
    with RecordedIssuer(vector, filled) as issuer, Ports(busy="before" in given) as ports:
        somebody.sit_down(monkeypatch)
        ports.take_the_place(monkeypatch)
        yield SigningIn(issuer, somebody, ports)
        somebody.leave()
