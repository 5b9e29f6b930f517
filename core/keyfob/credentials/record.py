"""The record: a stored login, opaque to core but for what its plugin declares about it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob.errors import DamagedLoginError, UnsupportedLoginError

if TYPE_CHECKING:
    from keyfob.credentials.records import Records

Data = Mapping[str, Any]
"""A JSON object, as it is stored: every field is kept, in its order."""


@dataclass(frozen=True, slots=True)
class Record:
    """A login. `data` is the plugin's own; of the rest core makes use.

    token: the secret that is sent; it tells one state of a login from another. secret: what the login is renewed
    with, None where it cannot be. expires_at, issued_at: seconds since the epoch, by this machine's clock where that is
    known. account: whose it is. method: `api` or `chatgpt`, as policy names it. workspaces: every account that the
    login claims to belong to; None where only its issuer can tell. reusable: to renew it does not spend `secret`, which
    is a client's own (RFC 6749, section 4.4).
    """

    data: Data = field(repr=False)
    token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    issued_at: float | None = None
    account: str | None = None
    method: str = "api"
    workspaces: tuple[str, ...] | None = ()
    reusable: bool = False

    @property
    def fingerprint(self) -> str:
        """What tells this state of the login from another and gives nothing away.

        Of both secrets: an issuer that does not rotate leaves one of them as it was.
        """
        return hashlib.sha256(f"{self.secret}\n{self.token}".encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def whose(self) -> tuple[str, str | None]:
        """What must stay the same while a program runs: a request made for one account is not billed to another."""
        return self.method, self.account


@contextlib.contextmanager
def replaced_by(command: str) -> Iterator[None]:
    """Give a DamagedLoginError that has no hint the command that puts a new login in the place of the damaged one."""
    try:
        yield
    except DamagedLoginError as error:
        raise DamagedLoginError(str(error), hint=error.hint or f"{command} --replace") from None


def record_in(place: str, data: Data, records: Records) -> Record:
    """The login that is stored there as `data`. Raises DamagedLoginError, UnsupportedLoginError that name the place."""
    try:
        return records.read(data)
    except (DamagedLoginError, UnsupportedLoginError) as error:
        raise type(error)(f"{place}: {error}", hint=error.hint) from None


@dataclass(frozen=True, slots=True)
class About:
    """What `keyfob status` tells of a login; never a secret.

    controls: which rules for data and admins it is under.
    """

    method: str
    masked: str | None = None
    email: str | None = None
    account: str | None = None
    workspace: str | None = None
    plan: str | None = None
    controls: str | None = None


def masked(secret: str) -> str:
    """A key as Codex shows it, its first 8 and last 5 characters; of one that this would give half away, nothing."""
    return f"{secret[:8]}***{secret[-5:]}" if len(secret) >= _LEAST_TO_SHOW else "***"


_LEAST_TO_SHOW = 2 * (8 + 5)
