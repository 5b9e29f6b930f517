"""Signatures: headers computed from the request, and the key that they are computed with, which is not sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob.credentials.credential import Credential
from keyfob.errors import MissingCredentialError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request as it will be sent, but for its signature.

    url: whole, as it goes on the wire: encoded, with the entry's query parameters. headers: names in lower case; a
    repeated one is joined by ", " (RFC 9110, section 5.3). body: all of it; a streamed one was read before.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class SigningKey(Credential):
    """What requests are signed with: it stays here. headers: what is sent beside the signature, name → value.

    secret: whatever `sign` wants, such as bytes. Two keys with equal secrets and times are taken for one, so give it
    what compares. expires_at: seconds since the epoch, or None where nobody knows. Raises MissingCredentialError for a
    blank secret.
    """

    __slots__ = ("secret",)

    def __init__(
        self, secret: Any, *, headers: Mapping[str, str] | None = None, expires_at: float | None = None
    ) -> None:
        super().__init__(headers or {}, expires_at=expires_at)
        if isinstance(secret, str | bytes) and not secret.strip():
            raise MissingCredentialError("the key to sign with is blank")
        self.secret = secret
        self.token = None  # what is sent would not do without a signature

    def same(self, other: SigningKey) -> bool:
        """Whether signing with the one is signing with the other."""
        mine = (self.secret, self.expires_at, dict(self.headers))
        return bool(mine == (other.secret, other.expires_at, dict(other.headers)))
