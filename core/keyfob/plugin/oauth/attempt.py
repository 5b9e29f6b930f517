"""One attempt to sign in through the browser: which answer counts, and that only one does."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from keyfob.errors import DeniedError, ExpiredSignInError, SignInError
from keyfob.plugin.oauth.answers import plain

if TYPE_CHECKING:
    from keyfob.plugin.oauth.proof import Proof


class Verdict(Enum):
    """What became of an answer that was offered."""

    COUNTS = "counts"
    TAKEN = "taken"
    NOT_OURS = "not ours"


@dataclass(frozen=True, slots=True)
class Granted:
    """What the issuer gave through the browser, with what else the token request needs."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


class Attempt:
    """Takes the first answer with the right state, from wherever it comes: the listener, or pasted into the terminal.

    issuer: whose answer is awaited, None where that is not known. announces_iss: whether it must say so (RFC 9207,
    section 2.4).
    """

    def __init__(
        self, proof: Proof, redirect_uri: str, issuer: str | None = None, *, announces_iss: bool = False
    ) -> None:
        self.done = threading.Event()
        self.redirect_uri = redirect_uri
        self._proof = proof
        self._issuer = issuer
        self._announces_iss = announces_iss
        self._lock = threading.Lock()
        self._answer: dict[str, str] | None = None
        self._cancelled = False

    def offer(self, query: str) -> Verdict:
        """An answer, as the query of the redirect URI."""
        try:
            fields = {name: values[0] for name, values in _parsed(query).items() if len(values) == 1}
        except ValueError:
            return Verdict.NOT_OURS
        if not hmac.compare_digest(fields.get("state", "").encode(), self._proof.state.encode()):
            return Verdict.NOT_OURS
        with self._lock:
            if self.done.is_set():
                return Verdict.TAKEN
            self._answer = fields
            self.done.set()
        return Verdict.COUNTS

    def pasted(self, line: str) -> str | None:
        """An answer, as the address that the browser was sent to; why it is of no use, or None."""
        address = line.strip()
        if not address:
            return None
        if address.split("?")[0] != self.redirect_uri or "?" not in address:
            return f"that is not the address that the sign-in leads to: it begins with {self.redirect_uri}?"
        verdict = self.offer(urlsplit(address).query)
        return "that address is of another sign-in, not of this one" if verdict is Verdict.NOT_OURS else None

    def cancel(self) -> None:
        """Another sign-in on this machine asks for the port."""
        with self._lock:
            self._cancelled = not self.done.is_set()
            self.done.set()

    def granted(self) -> Granted:
        """What the answer gives. Raises SignInError."""
        if self._cancelled:
            raise SignInError("the sign-in was given up: another one on this machine asked for its port")
        if self._answer is None:
            raise ExpiredSignInError("nobody signed in in time")
        self._see_who_answered(self._answer)
        if "error" in self._answer:
            raise _said_no(self._answer)
        code = self._answer.get("code", "")
        if not code:
            raise SignInError("the issuer sent no authorization code")
        return Granted(code, self._proof.verifier, self.redirect_uri)

    def _see_who_answered(self, answer: dict[str, str]) -> None:
        """RFC 9207, section 2.4: by a strict comparison of the whole text."""
        named = answer.get("iss")
        if named is None and self._announces_iss:
            raise SignInError("the answer does not say which issuer it is of, though that issuer announces it")
        if named is not None and self._issuer is not None and named != self._issuer:
            raise SignInError(f"the answer is not of {self._issuer}, which was asked")


def _parsed(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True, max_num_fields=32, errors="strict")


def _said_no(answer: dict[str, str]) -> SignInError:
    code = plain(answer["error"])
    said = plain(answer.get("error_description", "")) or code
    return (DeniedError if code == "access_denied" else SignInError)(f"the issuer refused: {said}")
