"""How a login is renewed and revoked: at the endpoints that it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyfob.plugin import Answer, Exchange, Record
from keyfob.plugin.oauth import Client, error_code
from keyfob_oauth import login
from keyfob_oauth.options import Options

# What ends a login for good (RFC 6749, section 5.2), and that the client is not the one which the issuer knows.
_REFUSALS = frozenset({"invalid_grant", "invalid_client"})
# What a client that signs in by itself is told besides; none of it ends anything, for its secret stays as good.
_REFUSALS_OF_CLIENTS = frozenset({"invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"})
_STATUSES = frozenset({400, 401, 403})


def client_of(options: Options, method: str, secret: str | None, named: str) -> Client:
    """The client that a login is made, renewed and revoked by. named: the table, for messages."""
    return Client(options.client_id, secret, method, named)


def renewal(record: Record, options: Options, client: Client) -> Exchange:
    """The request that renews a login: by its refresh token, or by the client's secret anew."""
    url = record.data[login.TOKEN_ENDPOINT]
    if options.by_itself:
        return client.credentials(url, **asked_for(options))
    more = {"resource": options.resource} if options.resource else {}
    return client.refresh(url, record.secret or "", **more)


def revocation(data: Mapping[str, Any], client: Client) -> Exchange | None:
    """The request that ends a login (RFC 7009); None where its issuer has no endpoint for that.

    data: the login. The refresh token takes the access token with it, at most issuers.
    """
    url = data.get(login.REVOCATION_ENDPOINT)
    if not isinstance(url, str):
        return None
    name = login.REFRESH if data.get(login.REFRESH) else login.ACCESS
    return client.revocation(url, data[name], hint=name)


def asked_for(options: Options) -> dict[str, str]:
    """What a login is for, as fields of the request for it (RFC 6749, section 3.3; RFC 8707, section 2)."""
    fields = {"scope": " ".join(options.scopes), "audience": options.audience, "resource": options.resource}
    return {name: value for name, value in fields.items() if value}


def refusal(answer: Answer, options: Options) -> str | None:
    """The code by which the issuer refuses; None if nothing is known of why."""
    code = error_code(answer.document()) if answer.status in _STATUSES else None
    known = _REFUSALS | _REFUSALS_OF_CLIENTS if options.by_itself else _REFUSALS
    return code if code in known else None
