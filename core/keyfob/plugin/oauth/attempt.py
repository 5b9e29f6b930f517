"""One attempt to sign in through the browser: which answer counts, and that only one does."""

from __future__ import annotations

import hmac
import threading
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from keyfob.errors import DeniedError, ExpiredSignInError, SignInError
from keyfob.plugin.oauth.answers import plain, reason
from keyfob.plugin.oauth.authorization import AuthorizationCode
from keyfob.plugin.oauth.ports import ADDRESS
from keyfob.plugin.oauth.proof_key import ProofKey

if TYPE_CHECKING:
    from keyfob.plugin.oauth.authorization import AuthorizationRequest

# Both lead here, and neither is a name that somebody else could have DNS point here.
LOOPBACK = (ADDRESS, "localhost")
# The port that browsers leave out.
HTTP = 80
# What an address has around it when it was copied out of a mail, a chat or a shell.
_AROUND = " \t\r\n\"'`<>\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{BYTE ORDER MARK}"
# More fields than any answer has.
_MOST_FIELDS = 32


class Verdict(Enum):
    """What became of an answer that was offered."""

    COUNTS = "counts"
    TAKEN = "taken"
    NOT_OURS = "not ours"


class Attempt:
    """Takes the first answer with the right state, from wherever it comes: the listener, or pasted into the terminal.

    done: set once there is an answer, or none is awaited any more. came: whether a browser brought the answer, and
    waits to be told how it ended.
    """

    def __init__(self, request: AuthorizationRequest, port: int) -> None:
        self.port = port
        self.path = request.path
        self.redirect_uri = f"http://{request.host}:{port}{request.path}"
        self.done = threading.Event()
        self.came = False
        self._request = request
        self._proof = ProofKey.new()
        self._lock = threading.Lock()
        self._answer: dict[str, str] | None = None
        self._cancelled = False

    @property
    def address(self) -> str:
        """Where the person is sent: the authorization request (RFC 6749, section 4.1.1; RFC 7636, section 4.3)."""
        own = {
            "response_type": "code",
            "client_id": self._request.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": self._proof.challenge,
            "code_challenge_method": "S256",
            "state": self._proof.state,
        }
        fields = urlencode({**own, **self._request.fields, **own})  # own ones first, and never replaced
        return f"{self._request.endpoint}{'&' if '?' in self._request.endpoint else '?'}{fields}"

    def offer(self, query: str) -> Verdict:
        """An answer that a browser brings, as the query of the redirect URI."""
        return self._offered(query, by_browser=True)

    def pasted(self, line: str) -> str | None:
        """An answer, as the address that the browser was sent to; why it is of no use, or None."""
        address = line.strip(_AROUND)
        if not address:
            return None
        if "?" not in address and "://" not in address:
            return "paste the whole address: a code alone does not tell whether it is of this sign-in"
        query = self._query_of(address)
        if query is None:
            return f"that is not the address that the sign-in ends at: it begins with {self.redirect_uri}?"
        if self._offered(query, by_browser=False) is Verdict.NOT_OURS:
            return "that address is of another sign-in, or not whole"
        return None

    def cancel(self) -> bool:
        """Another sign-in on this machine asks for the port; whether this one ends by it."""
        with self._lock:
            if not self.done.is_set():
                self._cancelled = True
                self.done.set()
            return self._cancelled

    def grant(self) -> AuthorizationCode:
        """What the answer gives; one that comes later is too late. Raises SignInError."""
        with self._lock:
            self.done.set()
        if self._cancelled:
            raise SignInError("the sign-in was given up: another one on this machine asked for its port")
        if self._answer is None:
            raise ExpiredSignInError("nobody signed in in time; nothing was stored")
        self._see_who_answered(self._answer)
        if "error" in self._answer:
            raise self._said_no(self._answer)
        code = self._answer.get("code", "")
        if not code:
            raise SignInError(f"{self._issuer} sent the browser back without an authorization code")
        return AuthorizationCode(code, self._proof.verifier, self.redirect_uri)

    def _offered(self, query: str, *, by_browser: bool) -> Verdict:
        fields = _fields(query)
        state = fields.get("state", "")
        if not state.isascii() or not hmac.compare_digest(state, self._proof.state):
            return Verdict.NOT_OURS
        with self._lock:
            if self.done.is_set():
                return Verdict.TAKEN
            self._answer, self.came = fields, by_browser
            self.done.set()
        return Verdict.COUNTS

    def _query_of(self, address: str) -> str | None:
        """The query of an address that leads here: browsers leave out the scheme, and people rename the host."""
        try:
            parts = urlsplit(address if "://" in address[:8] else f"http://{address}")
            place = (parts.scheme, parts.username, parts.port or HTTP, parts.path)
        except ValueError:
            return None
        here = parts.hostname in LOOPBACK and place == ("http", None, self.port, self.path)
        return parts.query if here and parts.query else None

    @property
    def _issuer(self) -> str:
        return urlsplit(self._request.endpoint).hostname or "the issuer"

    def _see_who_answered(self, answer: dict[str, str]) -> None:
        """RFC 9207, section 2.4: by a strict comparison of the whole text, also where it says no.

        An issuer that nobody can compare is none: a server that had the browser sent to another's would be given that
        one's code (RFC 9700, section 4.4).
        """
        named, issuer = answer.get("iss"), self._request.issuer
        if named is None and self._request.announces_iss:
            raise SignInError(f"the answer does not say that it is of {issuer}, which announces to say so (iss)")
        if named is not None and issuer is None:
            message = "the answer names its issuer, and none is known to compare it with"
            raise SignInError(message, hint='write issuer = "…" beside the endpoints, as their server names itself')
        if named is not None and named != issuer:
            raise SignInError(f"the answer is not of {issuer}, which was asked: another issuer names itself in it")

    def _said_no(self, answer: dict[str, str]) -> SignInError:
        """RFC 6749, section 4.1.2.1."""
        error, description = answer["error"], answer.get("error_description", "")
        said = reason(answer) or "it does not say why"
        known = (told for word, told in self._request.refusals.items() if word in f"{error} {description}")
        kind = DeniedError if error == "access_denied" else SignInError
        return kind(next(known, f"{self._issuer} refused: {said}"), error=plain(error) or None)


def _fields(query: str) -> dict[str, str]:
    """The fields that are there once (RFC 6749, section 3.1); none of what is no UTF-8, or too many to be an answer."""
    try:
        parsed = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items() if len(values) == 1}
