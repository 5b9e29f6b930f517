"""A certified OAuth server, running: npm's `oidc-provider`, on loopback, set up by tests/e2e/node/oidc.mjs."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final, Self

from . import parts

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node", "oidc.mjs")
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_PATIENCE_S: Final = 30.0

NATIVE: Final = "native-app"
"""A public client: a code, to any port of 127.0.0.1 or localhost, or a device's code; its refresh tokens rotate."""

BASIC: Final = "service-basic"
"""A confidential client for client_credentials whose secret goes into the Authorization header (RFC 6749, 2.3.1)."""

POST: Final = "service-post"
"""The same, with the secret in the body."""

API: Final = "https://api.company.example"
"""A resource (RFC 8707) whose access tokens are JWTs (RFC 9068), with the scope `api`; all others are opaque."""


class OidcServer:
    """The server; start it with `with`. `secret` is what both confidential clients have.

    Args:
        options: of oidc.mjs, beside the clients and resources that are always there; tests may change them later.
    """

    def __init__(self, **options: Any) -> None:
        self.secret = secrets.token_urlsafe(24) + "+/ %:"  # RFC 6749, 2.3.1: it has to be encoded before base64
        self._options = {"clients": self._clients(), "resources": {API: {"format": "jwt", "scope": "api"}}} | options
        self.issuer = ""

    def __enter__(self) -> Self:
        """Start it, and wait until it listens.

        Raises:
            LookupError: it is not installed; the text is `parts.missing`'s.
            RuntimeError: it ended; the text is what it wrote.
        """
        self._process = subprocess.Popen(
            [parts.path("oidc"), _SERVER, json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath},
            text=True,
        )
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"oidc-provider did not start:\n{self._process.communicate()[1]}")
        self.issuer = json.loads(line)["issuer"]
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end, which it does with its standard input."""
        self._process.communicate(timeout=_PATIENCE_S)

    def set(self, **options: Any) -> None:
        """Change options of the running server."""
        self._call("/test/options", json.dumps(options).encode())

    def anew(self) -> None:
        """Have it forget what it was asked, and have the options that it was started with."""
        self._call("/test/anew", b"")

    def requests(self, route: str | None = None) -> list[dict[str, Any]]:
        """What its endpoints were asked so far, in order: of one `route` (`token`, `revocation`, ...) or all.

        Each has method, path, route, status, client, grant, scope, resource, authentication (the scheme), error, reason
        (what the server tells its operator of an error), and revoked (whether it revoked a whole login over it).
        """
        asked = json.loads(self._call("/test/requests"))
        return [request for request in asked if route in (None, request["route"])]

    def grants(self) -> list[tuple[str, int]]:
        """The grant type and the status of each token request, in order."""
        return [(request["grant"], request["status"]) for request in self.requests("token")]

    def introspect(self, token: str) -> dict[str, Any]:
        """What the server says of a token, which is no JWT (RFC 7662); {"active": False} if it is not good any more."""
        form = {"token": token, "client_id": POST, "client_secret": self.secret}
        answer: dict[str, Any] = json.loads(self._call("/token/introspection", urllib.parse.urlencode(form).encode()))
        return answer

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.issuer + path, body, timeout=_PATIENCE_S) as answer:
            content: bytes = answer.read()
        return content

    def _clients(self) -> list[Mapping[str, Any]]:
        native = {
            "client_id": NATIVE,
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
            "grant_types": ["authorization_code", "refresh_token", _DEVICE_GRANT],
            "response_types": ["code"],
        }
        return [native, self._service(BASIC, "client_secret_basic"), self._service(POST, "client_secret_post")]

    def _service(self, client_id: str, method: str) -> Mapping[str, Any]:
        return {
            "client_id": client_id,
            "client_secret": self.secret,
            "token_endpoint_auth_method": method,
            "redirect_uris": [],
            "grant_types": ["client_credentials"],
            "response_types": [],
        }
