"""An issuer on loopback that does to a plugin what issuers do: it is slow, it refuses, it rotates, it dies."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from keyfob.testing.answers import Answer
from keyfob.testing.listener import Served

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.testing.answers import Received

    Speak = Callable[["NastyIssuer", Received], Answer]
    """How an issuer answers a request in its own words. It calls `grant` or `renew` where it gives a token."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an issuer gives. expires_in: seconds, or what an issuer that is wrong about it would say."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: Any = 3600


class NastyIssuer(Served):
    """An issuer on 127.0.0.1, for `with`.

    speak: its dialect. expires_in: what it says of the tokens to come. delay: seconds before each answer that gives
    one. instead: what it answers in place of giving one, in order, before it gives any again; a function is what
    happens to the answer that gives one.

    also: further places that are the issuer, as `host:port`: what stands before it for TLS, or a metadata server.
    grants: what it gave. asked: what it received. reused: refresh tokens that it was shown a second time. fault: what
    is wrong with `speak`, which is the test's own.
    """

    def __init__(self, speak: Speak) -> None:
        self._speak = speak
        self.expires_in: Any = 3600
        self.delay = 0.0
        self.instead: list[Answer | Callable[[Answer], Answer]] = []
        self.also: set[str] = set()
        self.grants: list[Grant] = []
        self.asked: list[Received] = []
        self.reused: list[str] = []
        self.fault = ""
        self._current: set[str] = set()
        self._made = 0
        self._one_at_a_time = threading.Lock()

    @property
    def token_url(self) -> str:
        """Its token endpoint."""
        return f"{self.url}/token"

    def grant(self, expires_in: Any = None) -> Grant:
        """Give a new token, and a refresh token with it."""
        self._made += 1
        lifetime = self.expires_in if expires_in is None else expires_in
        given = Grant(f"canary-at-{self._made}-of-the-issuer", f"canary-rt-{self._made}-of-the-issuer", lifetime)
        self._current.add(given.refresh_token)
        self.grants.append(given)
        return given

    def renew(self, refresh_token: str) -> Grant | None:
        """The same for a refresh token, which is spent by it; None for one that is not current (RFC 6749, section 6).

        One that was spent before ends the logins of all (RFC 9700, section 4.14.2).
        """
        if refresh_token in self._current:
            self._current.remove(refresh_token)
            return self.grant()
        if any(refresh_token == given.refresh_token for given in self.grants):
            self.reused.append(refresh_token)
            self._current.clear()
        return None

    def answer(self, received: Received) -> Answer:
        """What it answers to a request in its own words, whatever it is told to answer instead."""
        try:
            answer: object = self._speak(self, received)
        except Exception as error:  # noqa: BLE001  # it is told where a test would not see it
            return self._misspoken(f"speak() raised {type(error).__name__}: {error}")
        if not isinstance(answer, Answer):
            return self._misspoken(f"speak() returned a {type(answer).__name__}, not a keyfob.testing.Answer")
        return answer

    def _misspoken(self, fault: str) -> Answer:
        self.fault = fault
        return Answer(500)

    def _decide(self, received: Received) -> Answer:
        with self._one_at_a_time:
            before, current = len(self.grants), set(self._current)
            answer = self.answer(received)
            self.asked.append(received)
            if len(self.grants) == before:
                return answer
            if not self.instead:
                return replace(answer, delay_s=self.delay)
            instead = self.instead.pop(0)
            if callable(instead):  # whoever can read it goes on with what it gives, and everybody else as before
                self._current |= current
                return instead(answer)
            del self.grants[before:]
            self._current = current
            return instead


def rfc6749(issuer: NastyIssuer, asked: Received) -> Answer:
    """The dialect of the standard: client credentials, and refresh tokens (sections 4.4 and 6)."""
    fields = dict(parse_qsl(asked.body.decode()))
    given = issuer.renew(fields.get("refresh_token", "")) if "refresh_token" in fields else issuer.grant()
    if given is None:
        return Answer(400, body={"error": "invalid_grant"})
    document = {"access_token": given.token, "token_type": "Bearer", "refresh_token": given.refresh_token}
    return Answer(body=document if given.expires_in is None else {**document, "expires_in": given.expires_in})
