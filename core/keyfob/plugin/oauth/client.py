"""The client of an issuer, and the requests that it makes (RFC 6749, sections 2.3, 4 and 6; RFC 7009)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from keyfob.credentials.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.plugin.oauth.authorization import AuthorizationCode

# What is no text, of a variable that holds other bytes or of an issuer's escapes, is the issuer's to refuse.
_ANY = "surrogatepass"
NONE, BASIC, POST = "none", "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and how it authenticates at the token endpoint.

    method: `none` for a public client, else `client_secret_basic` or `client_secret_post` (RFC 6749, section 2.3.1).
    named: what names the endpoints in messages, such as a key of the configuration.

    The methods make requests, and send nothing. more: further fields of the form, such as `scope`.
    """

    client_id: str
    secret: str | None = field(default=None, repr=False)
    method: str = NONE
    named: str | None = None

    def code(self, url: str, grant: AuthorizationCode, **more: str) -> Exchange:
        """The request that gets tokens for the code of a browser sign-in (section 4.1.3; RFC 7636, section 4.5)."""
        fields = {"code": grant.code, "redirect_uri": grant.redirect_uri, "code_verifier": grant.verifier}
        return self.request(url, "authorization_code", {**fields, **more})

    def refresh(self, url: str, refresh_token: str, **more: str) -> Exchange:
        """The request that renews a login (section 6)."""
        return self.request(url, "refresh_token", {"refresh_token": refresh_token, **more})

    def credentials(self, url: str, **more: str) -> Exchange:
        """The request that gets a token for the client itself (section 4.4.2)."""
        return self.request(url, "client_credentials", more)

    def device(self, url: str, **more: str) -> Exchange:
        """The request for a code that is entered on another device (RFC 8628, section 3.1)."""
        return self.form(url, {**self._identity(), **more})

    def request(self, url: str, grant_type: str, fields: Mapping[str, str]) -> Exchange:
        """A request to the token endpoint."""
        return self.form(url, {"grant_type": grant_type, **self._identity(), **fields})

    def revocation(self, url: str, token: str, hint: str = "refresh_token") -> Exchange:
        """The request that revokes a token (RFC 7009, section 2.1)."""
        return self.form(url, {"token": token, "token_type_hint": hint, **self._identity()}, timeout=10.0)

    def form(self, url: str, fields: Mapping[str, str], timeout: float = 60.0) -> Exchange:
        """A form, with this client's authentication. timeout: seconds."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.method == BASIC and self.secret is not None:  # form-encoded first, or a colon would part them anew
            pair = ":".join(quote_plus(each, errors=_ANY) for each in (self.client_id, self.secret))
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        return Exchange(url, urlencode(fields, errors=_ANY).encode(), headers, timeout=timeout, named=self.named)

    def _identity(self) -> dict[str, str]:
        if self.secret is None or self.method == NONE:
            return {"client_id": self.client_id}
        return {} if self.method == BASIC else {"client_id": self.client_id, "client_secret": self.secret}
