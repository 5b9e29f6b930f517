"""The record: a stored login, opaque to core but for what its plugin declares about it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from keyfob.errors import DamagedLoginError, UnsupportedLoginError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.exchange import Answer, Exchange

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


Member = TypeVar("Member", bound="Callable[..., object]")

_FINAL = frozenset({"invalid_grant", "invalid_client"})
_REFUSING = frozenset({400, 401, 403})


def required(member: Member) -> Member:
    """Mark what has no default: an author who derives from the protocol and leaves it out is told so."""
    vars(member)["required"] = True
    return member


def is_required(member: object) -> bool:
    """Whether it is one that was marked so: its author has still to write it. Of a property, its getter was."""
    return hasattr(getattr(member, "fget", member), "required")


class Records(Protocol):
    """What an auth plugin knows of the logins it stores, for one provider.

    Derive from it, and write `read`, `made` and `credential`; the rest is as it is for most: one secret, stored alone.
    """

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be stored without a browser: of `api-key`, `access-token`."""
        return ("api-key",)

    def given(self) -> str | None:
        """The secret that the environment gives, which goes before any stored one; None where it gives none. Cheap."""
        return None

    def of_environment(self, secret: str) -> Record:
        """What `given` returned, as a record. Asks nobody. Raises CredentialError."""
        return Record({}, secret)

    @property
    def variable(self) -> str:
        """The name of the environment variable that `given` takes its secret from now, or would; "" for none."""
        return ""

    @property
    def missing(self) -> str | None:
        """What to say where there is neither a given nor a stored login; None: that nobody is signed in."""
        return None

    @required
    def read(self, data: Data) -> Record:
        """The login that is stored as `data`. Asks nobody. Raises DamagedLoginError that says what is wrong, and
        UnsupportedLoginError for what is sound and of no use here.
        """
        ...

    def completed(self, record: Record) -> Record:
        """The record with what only its issuer can tell of it. May block. Raises CredentialError."""
        return record

    @required
    def credential(self, record: Record) -> Credential:
        """What a completed record puts on a request."""
        ...

    @required
    def made(self, method: str, secret: str) -> Data:
        """What to store for this secret. Asks nobody. Raises CredentialError."""
        ...

    def about(self, record: Record) -> About:
        """What can be told of it, without asking anybody."""
        return About("login", masked(record.token), email=None, account=record.account)


@runtime_checkable
class Rotation(Records, Protocol):
    """The same for logins whose secret changes when it is used: core does the exchange, once (RFC 6749, section 6).

    Derive from it, and write `exchange` and `absorb` besides.
    """

    @required
    def exchange(self, record: Record, reason: str) -> Exchange:
        """The request that renews it. reason: `proactive_expiry` or `unauthorized_recovery`."""
        ...

    @required
    def absorb(self, record: Record, answer: Data) -> Data:
        """The record's data with what the issuer answered. Raises ValueError if the answer holds no login."""
        ...

    def refusal(self, answer: Answer) -> str | None:
        """The error code by which the issuer refuses this login for good; None if it may be tried again.

        By default those of RFC 6749, section 5.2, which say so.
        """
        code = answer.document().get("error") if answer.status in _REFUSING else None
        return code if isinstance(code, str) and code in _FINAL else None

    def revocation(self, data: Data) -> Exchange | None:
        """The request that makes a login worthless (RFC 7009), or None where there is none.

        data: of a record; or an issuer's answer alone, whatever it holds, where there is no record any more.
        """
        return None


@runtime_checkable
class SignsIn(Records, Protocol):
    """The same for logins that a person, or the program itself, makes at an issuer.

    Derive from it, for what is the same for most: that it takes a person, the header, and that nothing else binds one.
    """

    @property
    @required
    def flows(self) -> tuple[str, ...]:
        """How to sign in: of `browser`, `device`, `client-credentials`; the usual one first."""
        ...

    @property
    def unattended(self) -> str | None:
        """The one of them that takes nobody, and can be gone now; None where it takes a person. Cheap."""
        return None

    @property
    def unattended_with(self) -> str:
        """All that decides what comes of that one, such as the client's secret: what has failed is not tried again at
        once while this is the same. Only its hash is kept."""
        return self.configuration

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that every login of its sets."""
        return ("Authorization",)

    @property
    def configuration(self) -> str:
        """What its logins are bound to beside the origin: a word, without a secret, that `data["configuration"]` of a
        stored one repeats; "" for nothing. The warm path compares the two."""
        return ""

    @required
    def sign_in(self, flow: str, workspaces: tuple[str, ...] = ()) -> AbstractContextManager[Data]:
        """Sign in, and yield the login to store.

        It is stored while the context is open, so that whoever signed in is told that all is done only when it is. An
        error raised within is shown to them, too. workspaces: the only ones that policy permits; empty: any. Raises
        SignInError, UnreachableError, UnansweredError, ConfigError.
        """
        ...

    def lacking(self, data: Data) -> str | None:
        """What to do so that a stored login can be renewed, where something is missing for that, such as the client's
        secret; None where nothing is."""
        del data
        return None

    @required
    def without_renewal(self, data: Data) -> Data:
        """The login without what renews it, for use on another machine until it expires."""
        ...

    @required
    def received(self, data: Data) -> Data:
        """A login that comes from another machine, as it may be stored here. May block.

        Where it is renewed and revoked, this machine's configuration and the issuer say, and not whoever has sent it:
        secrets of this machine may go there too. Raises what `read` raises, SignInError, UnreachableError,
        UnansweredError.
        """
        ...
