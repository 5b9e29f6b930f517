"""How people sign in at the issuer of the tests: OpenAI's dialect of OAuth, as the real Codex client speaks it.

    with Issuer() as issuer:
        issuer.sign_in.pending = 2                     # a device code is entered after two polls
        run_something(env=issuer.environ)
    assert [each.endpoint for each in issuer.asked][-2:] == ["device.token", "token.code"]

Standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from keyfob.testing.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.testing.issuer import Issuer, Scripted

CALLBACK: Final = "/auth/callback"
"""Where the browser is sent back to, on a port of this machine: the only path that is registered."""
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693, 2.1
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def redirect(asked: Mapping[str, Any], **parameters: str) -> Answer:
    """Send the browser back to the program that asked, with these parameters and its state; an empty one stays empty.

    So `redirect(asked, error="access_denied")` is a person who says no.
    """
    own = {"state": asked.get("state", "")} | parameters
    return Answer(302, {"Location": f"{asked['redirect_uri']}?{urlencode(own)}"}, body="")


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a code was given for."""

    client_id: str
    redirect_uri: str
    challenge: str


class SignIn:
    """The part of an issuer where people sign in. All may be changed at any time, as an attribute.

    interval: the pause between two polls, as it is told to a device: OpenAI sends a text of digits; None leaves it out.
    pending: how many polls of a device get nothing before somebody has entered its code; None: until that is done on
    the page, or by `approve`. device: whether there is device login at all. code_name: how the code's field is called,
    `user_code` or `usercode`. api_key: what is given for an id_token; None refuses it.

    answers: by the name of an endpoint, what it answers, in order, before the ordinary way of things, as in
    `Issuer.answers`: authorize, token.code, token.exchange, device.usercode, device.token, device.page.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.interval: str | int | float | None = "5"
        self.pending: int | None = 0
        self.device = True
        self.code_name = "user_code"
        self.api_key: str | None = "sk-exchanged"
        self.answers: dict[str, list[Scripted]] = {}
        self._issuer = issuer
        self._grants: dict[str, _Grant] = {}
        self._id_tokens: set[str] = set()
        self._devices: dict[tuple[str, str], int] = {}  # its two codes → how often it has asked
        self._approved: set[str] = set()
        self._lock = threading.Lock()
        self.endpoints: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
            "authorize": self._authorize,
            "token.code": self._token,
            "token.exchange": self._exchange,
            "device.usercode": self._usercode,
            "device.token": self._poll,
            "device.page": self._page,
        }

    def approve(self, user_code: str) -> bool:
        """Enter a device's code, as its owner would; returns whether there is one."""
        with self._lock:
            known = any(code == user_code for _, code in self._devices)
            if known:
                self._approved.add(user_code)
            return known

    # In the browser: RFC 6749, 4.1.1, and RFC 7636, 4.3

    def _authorize(self, asked: Mapping[str, Any]) -> Answer:
        wrong = self._not_to_be_redirected(asked)
        if wrong:
            return _written(400, f"<p>Not a request of an application that is known here: {wrong}.</p>")
        fault = _fault_of(asked)
        if fault:
            return redirect(asked, error=fault[0], error_description=fault[1])
        return redirect(asked, code=self._code(_Grant(*(asked[name] for name in _GRANTED))), state=asked["state"])

    def _not_to_be_redirected(self, asked: Mapping[str, Any]) -> str | None:
        """What is wrong with the program that asks: such a request is answered here, and goes nowhere."""
        if asked.get("client_id") != self._issuer.client_id:
            return "client_id"
        parts = urlsplit(asked.get("redirect_uri", ""))
        loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
        return None if loopback and parts.path == CALLBACK and not parts.query else "redirect_uri"

    def _code(self, grant: _Grant) -> str:
        code = f"ac_{secrets.token_urlsafe(16)}"
        with self._lock:
            self._grants[code] = grant
        return code

    # At the token endpoint: RFC 6749, 4.1.3, and RFC 7636, 4.6

    def _token(self, asked: Mapping[str, Any]) -> Answer:
        with self._lock:
            grant = self._grants.pop(asked.get("code", ""), None)
        if grant is None:
            return _refused("the code is unknown, or was used")
        if (asked.get("client_id"), asked.get("redirect_uri")) != (grant.client_id, grant.redirect_uri):
            return _refused("client_id or redirect_uri is not that of the request for the code")
        if challenge_of(asked.get("code_verifier", "")) != grant.challenge:
            return _refused("code_verifier does not fit")
        tokens = self._issuer.signed_in()
        with self._lock:
            self._id_tokens.add(tokens["id_token"])
        return Answer(body=tokens)

    def _exchange(self, asked: Mapping[str, Any]) -> Answer:
        expected = {
            "client_id": self._issuer.client_id,
            "requested_token": "openai-api-key",
            "subject_token_type": ID_TOKEN,
        }
        fits = {name: asked.get(name) for name in expected} == expected
        if not fits or asked.get("subject_token") not in self._id_tokens or self.api_key is None:
            return _refused("no API key for this login")
        return Answer(body={"access_token": self.api_key})

    # With a device code: OpenAI's own way, not RFC 8628

    def _usercode(self, asked: Mapping[str, Any]) -> Answer:
        if not self.device:
            return Answer(404)
        if asked.get("client_id") != self._issuer.client_id:
            return Answer(400, body={"error": {"message": "no such client", "code": "invalid_client"}})
        device, code = f"dev_{secrets.token_urlsafe(16)}", _user_code()
        with self._lock:
            self._devices[device, code] = 0
        interval = {} if self.interval is None else {"interval": self.interval}
        return Answer(body={"device_auth_id": device, self.code_name: code, **interval})

    def _poll(self, asked: Mapping[str, Any]) -> Answer:
        device = (asked.get("device_auth_id", ""), asked.get("user_code", ""))
        with self._lock:
            if device not in self._devices:
                return Answer(400, body={"error": {"message": "no such device", "code": "deviceauth_unknown"}})
            self._devices[device] += 1
            waits = self.pending is None or self._devices[device] <= self.pending
            if waits and device[1] not in self._approved:
                return Answer(403, body={"error": {"message": "not yet", "code": "deviceauth_authorization_unknown"}})
            del self._devices[device]
        verifier = secrets.token_urlsafe(64)
        grant = _Grant(self._issuer.client_id, f"{self._issuer.url}/deviceauth/callback", challenge_of(verifier))
        code = self._code(grant)
        return Answer(body={"authorization_code": code, "code_challenge": grant.challenge, "code_verifier": verifier})

    def _page(self, asked: Mapping[str, Any]) -> Answer:
        """Where the person enters the code: a form, which sends it here again."""
        code = asked.get("user_code")
        if code is None:
            return _written(200, _FORM)
        if self.approve(code):
            return _written(200, "<p>Signed in. You may go back to your device.</p>")
        return _written(400, f"<p>No device waits with the code {html.escape(code)}.</p>{_FORM}")


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


_GRANTED: Final = ("client_id", "redirect_uri", "code_challenge")
_FORM: Final = """
<form method="post"><label>Code <input name="user_code" autofocus></label> <button>Continue</button></form>
"""


def _fault_of(asked: Mapping[str, Any]) -> tuple[str, str] | None:
    """The error, and what is told of it (RFC 6749, 4.1.2.1)."""
    if asked.get("response_type") != "code":
        return "unsupported_response_type", "response_type is not code"
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        return "invalid_request", "PKCE with S256 is required"
    if not asked.get("state"):
        return "invalid_request", "state is required"
    if "openid" not in asked.get("scope", "").split():
        return "invalid_scope", "openid is required"
    return None


def _user_code() -> str:
    letters = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(4))
    return f"{letters}-{secrets.randbelow(100_000):05}"


def _refused(why: str) -> Answer:
    return Answer(400, body={"error": "invalid_grant", "error_description": why})


def _written(status: int, body: str) -> Answer:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Issuer</title><body>{body}</body></html>'
    return Answer(status, {"Content-Type": "text/html; charset=utf-8"}, body=page)
