"""A small issuer on loopback: people sign in at it, and it rotates refresh tokens, as OpenAI's does.

    with Issuer(lifetime=60) as issuer:
        write(issuer.login(expires_in=-1))          # an auth.json whose access token has expired
        run_something(env=issuer.environ)
    assert issuer.renewals == 1 and not issuer.reused

It remembers what it was asked, and who presented which token. How people sign in: keyfob.testing.sign_in.
Standard library only.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

from keyfob.testing.answers import Answer, Received
from keyfob.testing.listener import Served
from keyfob.testing.sign_in import EXCHANGE, SignIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.testing import answers

    Scripted = answers.Scripted | Callable[["Issuer", dict[str, Any]], answers.Scripted]

__all__ = ["CLAIM", "Issuer", "Presented", "jwt"]

CLAIM: Final = "https://api.openai.com/auth"
CLIENT_ID: Final = "app_EMoamEEZ73f0CkXaXp7hrann"
"""Codex's own, which is public."""


def jwt(**claims: Any) -> str:
    """An unsigned JWT with these claims."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(_segment(json.dumps(part).encode()) for part in parts), _segment(b"signature")])


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the name of its endpoint, its fields (of the query, the form or the JSON object), and as it came."""

    endpoint: str
    fields: dict[str, Any] = field(repr=False)
    received: Received


@dataclass(frozen=True, slots=True)
class Presented:
    """One request to renew a login: fields, headers (names in lower case), when, and the answer's status."""

    fields: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    at: float
    status: int | None
    """None if the script says to hang or to close instead."""


class Issuer(Served):
    """An issuer on 127.0.0.1, for `with`.

    lifetime: seconds that its access tokens live. reuse: what a refresh token that was spent before gets: `refuse`
    answers `refresh_token_reused`; `revoke` also kills every token of its family. delay: seconds before each answer of
    the token endpoint. headers: sent with each answer. account, plan, email, claims: what its tokens claim; an account
    of None is not claimed, and `claims` are further ones of OpenAI's own, such as `organizations`.

    answers: what to answer to renewals, in order, before the ordinary way of things takes over: each as in a model
    server's script, or a function of the issuer and the request's fields that returns such a thing; None is the
    ordinary answer. `sign_in` has the same for its own endpoints.
    """

    def __init__(
        self,
        *,
        lifetime: float = 3600.0,
        reuse: Literal["refuse", "revoke"] = "revoke",
        delay: float = 0.0,
        answers: list[Scripted] | None = None,
        headers: dict[str, str] | None = None,
        account: str | None = "acct-1",
        plan: str = "pro",
        email: str = "somebody@example.com",
        claims: dict[str, Any] | None = None,
    ) -> None:
        self.lifetime, self.reuse, self.delay = lifetime, reuse, delay
        self.answers: list[Scripted] = answers or []
        self.headers = headers or {}
        self.account, self.plan, self.email, self.claims = account, plan, email, claims or {}
        self.client_id = CLIENT_ID
        self.sign_in = SignIn(self)
        self.asked: list[Asked] = []
        self.presented: list[Presented] = []
        self.revoked: list[dict[str, Any]] = []
        self.personal: dict[str, dict[str, Any]] = {}
        self._current: dict[str, str] = {}  # refresh token → family
        self._spent: dict[str, str] = {}
        self._lock = threading.Lock()
        self._count = 0

    # Where it is

    @property
    def environ(self) -> dict[str, str]:
        """The variables that make Codex and keyfob turn to it."""
        return {
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self.url}/oauth/token",
            "CODEX_REVOKE_TOKEN_URL_OVERRIDE": f"{self.url}/oauth/revoke",
            "CODEX_AUTHAPI_BASE_URL": f"{self.url}/api/accounts",
            "KEYFOB_OPENAI_ISSUER": self.url,
        }

    # What it gives out

    def login(self, *, expires_in: float | None = None, refreshed_ago: float = 3600.0, **fields: Any) -> dict[str, Any]:
        """A new login, as auth.json holds it. Its access token expires in so many seconds (`lifetime` by default), and
        its `last_refresh` was so many seconds ago. fields: further or other fields of the file."""
        with self._lock:
            tokens = self._issued(f"family-{self._count}", expires_in)
        now = datetime.fromtimestamp(time.time() - refreshed_ago, UTC)
        return {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {**tokens, "account_id": self.account},
            "last_refresh": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            **fields,
        }

    def signed_in(self) -> dict[str, Any]:
        """What the token endpoint answers to somebody who has signed in: the tokens of a new login."""
        with self._lock:
            return self._answered(self._issued(f"family-{self._count}"))

    def _answered(self, tokens: dict[str, str]) -> dict[str, Any]:
        return {**tokens, "expires_in": int(self.lifetime), "token_type": "bearer"}

    def _issued(self, family: str, expires_in: float | None = None) -> dict[str, str]:
        self._count += 1
        now, life = time.time(), self.lifetime if expires_in is None else expires_in
        expires_at = ceil(now + life)  # whole seconds: Codex reads no other
        own = {"chatgpt_plan_type": self.plan, **self.claims}
        if self.account is not None:
            own["chatgpt_account_id"] = self.account
        refresh_token = f"rt-{self._count}-{family}"
        self._current[refresh_token] = family
        return {
            "id_token": jwt(
                iss=self.url,
                aud=[self.client_id],
                sub=self.email,
                email=self.email,
                iat=int(now),
                exp=int(now + 3600),
                **{CLAIM: own},
            ),
            "access_token": jwt(jti=self._count, iat=int(now + min(life, 0) - 60), exp=expires_at, **{CLAIM: own}),
            "refresh_token": refresh_token,
        }

    # What it was asked

    @property
    def renewals(self) -> int:
        """How many times a login was renewed."""
        return sum(200 <= (each.status or 0) < 300 for each in self.presented)

    @property
    def reused(self) -> list[str]:
        """The refresh tokens that were presented more than once."""
        times = Counter(str(each.fields.get("refresh_token")) for each in self.presented)
        return [token for token, count in times.items() if count > 1]

    def is_current(self, refresh_token: str) -> bool:
        """Whether that token would be accepted now."""
        return refresh_token in self._current

    # Answering

    def _decide(self, received: Received) -> Answer:
        fields = _fields(received)
        asked, at = Asked(_endpoint(received, fields), fields, received), time.time()
        scripted = self._next(asked.endpoint)
        if asked.endpoint.startswith("token."):
            self._listener.stopping.wait(self.delay)
        if callable(scripted):
            scripted = scripted(self, fields)
        answer = self._ordinary(asked) if scripted is None else Answer.of(scripted)
        self._remember(asked, answer, at)
        return replace(answer, headers={**self.headers, **answer.headers})

    def _next(self, endpoint: str) -> Scripted:
        with self._lock:
            script = self.answers if endpoint == _REFRESH else self.sign_in.answers.get(endpoint)
            return script.pop(0) if script else None

    def _remember(self, asked: Asked, answer: Answer, at: float) -> None:
        status = None if answer.silent else answer.status
        with self._lock:
            self.asked.append(replace(asked, received=replace(asked.received, answered=status)))
            if asked.endpoint == _REFRESH:
                headers = {name.lower(): value for name, value in asked.received.headers}
                self.presented.append(Presented(asked.fields, headers, at, status))

    def _ordinary(self, asked: Asked) -> Answer:
        if asked.endpoint in self.sign_in.endpoints:
            return self.sign_in.endpoints[asked.endpoint](asked.fields)
        if asked.endpoint == _REFRESH:
            status, body = self.renewed(asked.fields)
            return Answer(status, body=body)
        if asked.endpoint == "revoke":
            return self._revoke(asked.fields)
        return self._whoami(asked.received) if asked.endpoint == "whoami" else Answer(404)

    def _revoke(self, fields: dict[str, Any]) -> Answer:
        """End the login that a refresh token is of; any other token is none of ours (RFC 7009, 2.2)."""
        with self._lock:
            self.revoked.append(fields)
            self._end(self._current.get(str(fields.get("token"))))
        return Answer()

    def _end(self, family: str | None) -> None:
        self._current = {token: of for token, of in self._current.items() if of != family}

    def _whoami(self, received: Received) -> Answer:
        token = (received.header("authorization") or "").removeprefix("Bearer ")
        known = self.personal.get(token)
        return Answer(body=known) if known is not None else Answer(401, body={"error": {"code": "invalid"}})

    def renewed(self, fields: dict[str, Any]) -> tuple[int, Any]:
        """The ordinary answer: new tokens for one that is current, and what `reuse` says for one that was spent."""
        token = str(fields.get("refresh_token"))
        with self._lock:
            family = self._current.pop(token, None)
            if family is not None:
                self._spent[token] = family
                return 200, self._answered(self._issued(family))
            if token not in self._spent:
                return 400, {"error": "invalid_grant"}
            if self.reuse == "revoke":
                self._end(self._spent[token])
            return 401, {"error": {"code": "refresh_token_reused", "message": "already used"}}


_REFRESH: Final = "token.refresh"
_ENDPOINTS: Final = {
    ("GET", "/oauth/authorize"): "authorize",
    ("POST", "/oauth/token"): _REFRESH,
    ("POST", "/oauth/revoke"): "revoke",
    ("GET", "/whoami"): "whoami",
    ("POST", "/api/accounts/deviceauth/usercode"): "device.usercode",
    ("POST", "/api/accounts/deviceauth/token"): "device.token",
    ("GET", "/codex/device"): "device.page",
    ("POST", "/codex/device"): "device.page",
}
"""Method, and how the path ends → the endpoint's name: at the token endpoint the grant decides."""
_GRANTS: Final = {"authorization_code": "token.code", EXCHANGE: "token.exchange"}


def _endpoint(received: Received, fields: dict[str, Any]) -> str:
    found = next(
        (
            name
            for (method, end), name in _ENDPOINTS.items()
            if received.method == method and received.path.endswith(end)
        ),
        "unknown",
    )
    return _GRANTS.get(fields.get("grant_type", ""), found) if found == _REFRESH else found


def _fields(received: Received) -> dict[str, Any]:
    """What was asked with: a JSON object, a form, or the query."""
    text = received.body.decode(errors="replace") or received.query
    try:
        found = json.loads(text)
    except ValueError:
        return dict(parse_qsl(text, keep_blank_values=True))
    return found if isinstance(found, dict) else {}
