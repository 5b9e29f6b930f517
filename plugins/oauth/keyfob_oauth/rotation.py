"""How a login is renewed and revoked: at the endpoints that it was made with."""

from __future__ import annotations

from keyfob.plugin import Answer, CredentialError, Exchange, Record
from keyfob.plugin.oauth import Client, error_code
from keyfob_oauth import login
from keyfob_oauth.options import Options

# What ends a login for good, and that the client is not the one which the issuer knows (RFC 6749, section 5.2).
_REFUSALS = frozenset({"invalid_grant", "invalid_client"})
# What a program is told besides. Nothing ends with it: its secret stays as good as before.
_REFUSALS_OF_PROGRAMS = frozenset({"invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"})
# Any other status is about the request or the way to the issuer, whatever the body says.
_STATUSES = frozenset({400, 401, 403})


def renewal(record: Record, options: Options, client: Client) -> Exchange:
    """The request that renews a login: by its refresh token, or by the client's secret once more."""
    url = record.data[login.TOKEN_ENDPOINT]
    if options.by_itself:
        return client.credentials(url, **options.asked_for)
    return client.refresh(url, record.secret or "", **options.asked_again)


def revocation(record: Record, client: Client) -> Exchange | None:
    """The request that ends a login (RFC 7009): by its refresh token, with which the access token ends at most issuers.

    Without an endpoint for that, there is none for what ends by itself; any other login raises CredentialError.
    """
    url = record.data.get(login.REVOCATION_ENDPOINT)
    if isinstance(url, str):
        name = login.REFRESH if login.REFRESH in record.data else login.ACCESS
        return client.revocation(url, record.data[name], hint=name)
    if record.secret is None:
        return None
    raise CredentialError(f"its issuer names no {login.REVOCATION_ENDPOINT}")


def refusal(answer: Answer, options: Options) -> str | None:
    """The code by which the issuer refuses; None if nothing is known of why."""
    code = error_code(answer.document()) if answer.status in _STATUSES else None
    known = _REFUSALS | _REFUSALS_OF_PROGRAMS if options.by_itself else _REFUSALS
    return code if code in known else None
