"""A small issuer on loopback that rotates refresh tokens as OpenAI's does, and remembers who presented which one.

    with Issuer(lifetime=60) as issuer:
        write(issuer.login(expires_in=-1))          # an auth.json whose access token has expired
        run_something(env=issuer.environ)
    assert issuer.renewals == 1 and not issuer.reused

Standard library only.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable

    Scripted = int | tuple[int, Any] | Callable[["Issuer", dict[str, Any]], tuple[int, Any]] | None

__all__ = ["Issuer", "Presented", "jwt"]

CLAIM = "https://api.openai.com/auth"


def jwt(**claims: Any) -> str:
    """An unsigned JWT with these claims."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(_segment(json.dumps(part).encode()) for part in parts), _segment(b"signature")])


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Presented:
    """One request to the token endpoint: fields, headers (names in lower case), when, and the answer's status."""

    fields: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    at: float
    status: int


class Issuer:
    """An issuer on 127.0.0.1, for `with`.

    lifetime: seconds that its access tokens live. reuse: what a refresh token that was spent before gets: `refuse`
    answers `refresh_token_reused`; `revoke` also kills every token of its family. delay: seconds before each answer.
    answers: what to answer at the token endpoint, in order, before the ordinary way of things takes over: a status, a
    status with a body (a dict is sent as JSON, bytes as they are), a function of the issuer and the request's fields
    that returns these, or None for the ordinary answer. headers: sent with each answer.
    """

    def __init__(
        self,
        *,
        lifetime: float = 3600.0,
        reuse: Literal["refuse", "revoke"] = "revoke",
        delay: float = 0.0,
        answers: list[Scripted] | None = None,
        headers: dict[str, str] | None = None,
        account: str = "acct-1",
        plan: str = "pro",
        email: str = "somebody@example.com",
    ) -> None:
        self.lifetime, self.reuse, self.delay = lifetime, reuse, delay
        self.answers: list[Scripted] = answers or []
        self.headers = headers or {}
        self.account, self.plan, self.email = account, plan, email
        self.presented: list[Presented] = []
        self.revoked: list[dict[str, Any]] = []
        self.personal: dict[str, dict[str, Any]] = {}
        self._current: dict[str, str] = {}  # refresh token → family
        self._spent: dict[str, str] = {}
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="issuer", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # Where it is

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables that make Codex and keyfob turn to it."""
        return {
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self.url}/oauth/token",
            "CODEX_REVOKE_TOKEN_URL_OVERRIDE": f"{self.url}/oauth/revoke",
            "CODEX_AUTHAPI_BASE_URL": f"{self.url}/api/accounts",
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

    def _issued(self, family: str, expires_in: float | None = None) -> dict[str, str]:
        self._count += 1
        now, life = time.time(), self.lifetime if expires_in is None else expires_in
        expires_at = ceil(now + life)  # whole seconds: Codex reads no other
        own = {"chatgpt_account_id": self.account, "chatgpt_plan_type": self.plan}
        refresh_token = f"rt-{self._count}-{family}"
        self._current[refresh_token] = family
        return {
            "id_token": jwt(email=self.email, iat=int(now), exp=int(now + 3600), **{CLAIM: own}),
            "access_token": jwt(jti=self._count, iat=int(now + min(life, 0) - 60), exp=expires_at, **{CLAIM: own}),
            "refresh_token": refresh_token,
        }

    # What it was asked

    @property
    def renewals(self) -> int:
        """How many times a login was renewed."""
        return sum(200 <= each.status < 300 for each in self.presented)

    @property
    def reused(self) -> list[str]:
        """The refresh tokens that were presented more than once."""
        times = Counter(str(each.fields.get("refresh_token")) for each in self.presented)
        return [token for token, count in times.items() if count > 1]

    def is_current(self, refresh_token: str) -> bool:
        """Whether that token would be accepted now."""
        return refresh_token in self._current

    # Answering

    def _answer(self, path: str, headers: dict[str, str], fields: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/oauth/token"):
            return self._token(headers, fields)
        if path.endswith("/oauth/revoke"):
            self.revoked.append(fields)
            return 200, {}
        if path.endswith("/whoami"):
            token = headers.get("authorization", "").removeprefix("Bearer ")
            return (200, self.personal[token]) if token in self.personal else (401, {"error": {"code": "invalid"}})
        return 404, {}

    def _token(self, headers: dict[str, str], fields: dict[str, Any]) -> tuple[int, Any]:
        at = time.time()
        with self._lock:
            scripted = self.answers.pop(0) if self.answers else None
        if self.delay:
            time.sleep(self.delay)
        if callable(scripted):
            status, body = scripted(self, fields)
        elif scripted is not None:
            status, body = scripted if isinstance(scripted, tuple) else (scripted, {})
        else:
            status, body = self.renewed(fields)
        with self._lock:
            self.presented.append(Presented(fields, headers, at, status))
        return status, body

    def renewed(self, fields: dict[str, Any]) -> tuple[int, Any]:
        """The ordinary answer: new tokens for one that is current, and what `reuse` says for one that was spent."""
        token = str(fields.get("refresh_token"))
        with self._lock:
            family = self._current.pop(token, None)
            if family is not None:
                self._spent[token] = family
                return 200, {**self._issued(family), "expires_in": int(self.lifetime), "token_type": "bearer"}
            if token not in self._spent:
                return 400, {"error": "invalid_grant"}
            if self.reuse == "revoke":
                family = self._spent[token]
                self._current = {each: of for each, of in self._current.items() if of != family}
            return 401, {"error": {"code": "refresh_token_reused", "message": "already used"}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], issuer: Issuer) -> None:
        self.issuer = issuer
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _respond(self) -> None:
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        fields = json.loads(text) if text.startswith(b"{") else dict(parse_qsl(text.decode()))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, body = self.server.issuer._answer(self.path, headers, fields)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in self.server.issuer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _respond  # noqa: N815  # the names that http.server calls
