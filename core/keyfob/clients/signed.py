"""What goes on a request of a library that has transports of another kind than httpx: its URL is text, its headers a
mapping that can be changed. Who sends such a request, and replays it, is that library's integration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyfob.clients import query
from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.signature import Unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from keyfob.clients.signing import Signing
    from keyfob.credentials.credential import Credential


def covers(signing: Signing, url: str) -> bool:
    """Whether what the entry adds may go to this URL, as it is written: these libraries may send its dot segments.

    If not, that is announced.
    """
    covered = signing.covers(url) and {".", ".."}.isdisjoint(urlsplit(url).path.split("/"))
    if not covered:
        signing.blocked(url)
    return covered


def sign(
    signing: Signing, credential: Credential, method: str, url: str, headers: MutableMapping[str, Any], body: bytes
) -> str:
    """Set on `headers` what goes with the credential; the URL to send to.

    body: all of it; needed only where there is a signer.
    """
    if "Authorization" in headers:
        del headers["Authorization"]  # all of them: the `pop` of a multidict leaves the others
    signing.additions.merged(credential).set_on(headers)
    if signing.additions.query:
        parts = urlsplit(url)
        url = parts._replace(query=query.joined(parts.query, signing.additions.query)).geturl()
    if signing.signer is not None:
        unsigned = Unsigned(method, url.partition("#")[0], _joined(headers), body)
        headers.update(SecretHeaders(signing.signer.sign(unsigned, credential)))
    return url


def hide_query(signing: Signing, error: BaseException) -> None:
    """Take the entry's query parameters out of the text of a library's error: they may be secret."""
    added = query.written(signing.additions.query)
    if not added or added not in str(error):
        return
    error.args = (str(error).replace(added, "…"),)
    if isinstance(error, OSError) and error.strerror:
        error.strerror = error.strerror.replace(added, "…")
    error.__cause__ = error.__context__ = None  # they say the same


def _joined(headers: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; the values of a repeated one in one (RFC 9110, section 5.3)."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        text = value if isinstance(value, str) else value.decode("latin-1")
        before = joined.get(name.lower())
        joined[name.lower()] = text if before is None else f"{before}, {text}"
    return joined
