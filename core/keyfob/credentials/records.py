"""What an auth plugin declares of the logins that it stores: how they are read, renewed, revoked and made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from keyfob.credentials.record import About, Record, masked

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.exchange import Answer, Exchange
    from keyfob.credentials.record import Data

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

    Derive from it, and write `read`, `data_for` and `credential`; the rest is as it is for most: one secret, alone.
    """

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be stored without a browser: of `api-key`, `access-token`."""
        return ("api-key",)

    def environment_secret(self) -> str | None:
        """The secret that the environment gives, which goes before any stored one; None where it gives none. Cheap."""
        return None

    def of_environment(self, secret: str) -> Record:
        """What `environment_secret` returned, as a record. Asks nobody. Raises CredentialError."""
        return Record({}, secret)

    @property
    def variable(self) -> str:
        """The name of the environment variable that `environment_secret` takes it from now, or would; "" for none."""
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

    def complete(self, record: Record) -> Record:
        """The record with what only its issuer can tell of it. May block. Raises CredentialError."""
        return record

    @required
    def credential(self, record: Record) -> Credential:
        """What a completed record puts on a request."""
        ...

    @required
    def data_for(self, method: str, secret: str) -> Data:
        """What to store for this secret, which is of that one of `methods`. Asks nobody. Raises CredentialError."""
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
        """The request that revokes a login (RFC 7009), or None where there is none.

        data: of a record; or an issuer's answer alone, whatever it holds, where there is no record any more.
        """
        return None


@runtime_checkable
class SignsIn(Records, Protocol):
    """The same for logins that a person, or the program itself, makes at an issuer.

    Derive from it for the usual defaults: signing in takes a person, the credential goes into `Authorization`, and
    nothing but the origin binds the login.
    """

    @property
    @required
    def flows(self) -> tuple[str, ...]:
        """How to sign in: of `browser`, `device`, `client_credentials`; the usual one first."""
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

    def missing_for_renewal(self, data: Data) -> str | None:
        """What to do so that a stored login can be renewed, where something is missing for that, such as the client's
        secret; None where nothing is."""
        return None

    @required
    def without_renewal(self, data: Data) -> Data:
        """The login without what renews it, for use on another machine until it expires."""
        ...

    @required
    def imported(self, data: Data) -> Data:
        """A login that comes from another machine, as it may be stored here. May block.

        Where it is renewed and revoked, this machine's configuration and the issuer say, and not whoever has sent it:
        secrets of this machine may go there too. Raises what `read` raises, SignInError, UnreachableError,
        UnansweredError.
        """
        ...
