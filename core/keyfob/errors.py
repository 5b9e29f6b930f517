"""What can go wrong, as one tree.

KeyfobError                     the root; not an httpx error: SDKs retry and hide those
├── UsageError                  the call makes no sense as it is                          exit 2
├── ConfigError                 configuration that cannot be used; holds its faults       exit 2
│   ├── UnknownProviderError    no entry has this id
│   ├── RoutingError            an entry that no plugin, or more than one, claims
│   └── PluginError             a plugin that cannot be loaded or broke its contract
├── CredentialError             a credential cannot be had; nothing was sent              exit 1
│   ├── MissingCredentialError  the place it comes from is empty
│   ├── NotSignedInError        a login is needed first
│   ├── SignInError             a sign-in did not come to a login
│   │   ├── DeniedError         whoever was asked said no
│   │   ├── ExpiredSignInError  nobody signed in in time
│   │   ├── DisabledFlowError   the issuer has this way of signing in switched off
│   │   └── PortError           there is no port for the browser to come back to
│   ├── DamagedLoginError       a stored login that cannot be read
│   ├── UnsupportedLoginError   a stored login of a kind that keyfob cannot use
│   ├── OtherOriginError        a stored login that was made for another origin
│   ├── CarriedLoginError       what came from another machine is no login for this one
│   ├── StoreError              the place where logins are kept cannot be used
│   │   ├── LockedError         another process holds it
│   │   └── OccupiedError       another login is there
│   ├── RenewalError            the login could not be renewed this time
│   │   ├── RefusedError        its issuer refuses it for good
│   │   └── LostRenewalError    a renewal broke off, and its answer is lost
│   ├── AccountChangedError     somebody else is signed in now
│   ├── PolicyError             a rule of the configuration forbids it
│   ├── IllegalHeaderError      its value may not stand in an HTTP header
│   └── CommandError            the token command failed
└── OriginError                 it would have gone where it must not go                   exit 1

Each class has a `code` for programs; each error a sentence for people and, where one helps, a `hint`: what to do, as a
command or a line to write. No error text holds a secret or anything of a server's body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class KeyfobError(Exception):
    """The root of keyfob's errors. `str(error)` is one sentence; `error.hint` says how to mend it, or is None."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_REFUSED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(KeyfobError):
    """The call makes no sense as it is."""

    code = "usage"
    exit_code = EXIT_USAGE


def at(path: str | None, line: int | None, column: int | None = None, *, nowhere: str = "-c") -> str:
    """`file:line:column`, as far as they are known. nowhere: in place of no file, by default the command line."""
    return ":".join(str(part) for part in (path or nowhere, line, column) if part is not None)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a configuration file: where it is, what it is, and what to write instead."""

    message: str
    instead: str | None = None
    path: str | None = None
    line: int | None = None
    column: int | None = None
    provider: str | None = None
    key: str | None = None

    @property
    def place(self) -> str:
        """`file:line:column`, as far as they are known."""
        return at(self.path, self.line, self.column, nowhere="configuration")

    def __str__(self) -> str:
        subject = ".".join(part for part in (self.provider and f"model_providers.{self.provider}", self.key) if part)
        text = f"{self.place}: {subject + ': ' if subject else ''}{self.message}"
        return f"{text} ({self.instead})" if self.instead else text


class ConfigError(KeyfobError):
    """Configuration that cannot be used. `faults` holds each fault with its place."""

    code = "config"
    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, hint: str | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> ConfigError:
        """One error for all faults, a line each."""
        return cls("\n".join(str(fault) for fault in faults), faults=faults)


class UnknownProviderError(ConfigError):
    """No entry has this id."""

    code = "unknown-provider"


class RoutingError(ConfigError):
    """An entry that no plugin claims, or more than one."""

    code = "routing"


class PluginError(ConfigError):
    """A plugin that cannot be loaded, or that broke its contract."""

    code = "plugin"


class CredentialError(KeyfobError):
    """A credential cannot be had; nothing was sent."""

    code = "credential"


class MissingCredentialError(CredentialError):
    """The place the credential comes from is empty."""

    code = "missing-credential"


class NotSignedInError(CredentialError):
    """The provider needs a login, and there is none."""

    code = "not-signed-in"


class SignInError(CredentialError):
    """A sign-in did not come to a login. What was stored before is as it was.

    error: the standard code by which the issuer refused it (RFC 6749, sections 4.1.2.1 and 5.2), and retry_after: how
    many seconds it wants to be left alone; None where it said nothing of it.
    """

    code = "sign-in"

    def __init__(
        self, message: str, *, hint: str | None = None, error: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.error = error
        self.retry_after = retry_after


class DeniedError(SignInError):
    """Whoever was asked said no: the person, or the issuer's administrator (`access_denied`)."""

    code = "access-denied"


class ExpiredSignInError(SignInError):
    """Nobody signed in in time."""

    code = "sign-in-expired"


class DisabledFlowError(SignInError):
    """The issuer has this way of signing in switched off; another may work."""

    code = "flow-disabled"


class PortError(SignInError):
    """There is no port on this machine for the browser to come back to."""

    code = "port"


class DamagedLoginError(CredentialError):
    """A stored login that cannot be read. It is never taken for none, and never overwritten unasked."""

    code = "damaged-login"


class UnsupportedLoginError(CredentialError):
    """A stored login that is sound, of a kind that keyfob cannot use. It is never overwritten unasked either."""

    code = "unsupported-login"


class OtherOriginError(CredentialError):
    """A stored login that was made for another origin, or another issuer, client or scope, than the configuration names
    now. It is not sent there."""

    code = "other-origin"


class CarriedLoginError(CredentialError):
    """What came from another machine is no login, or none that this one can use. Nothing was stored."""

    code = "carried-login"


class StoreError(CredentialError):
    """The place where logins are kept cannot be used."""

    code = "store"


class LockedError(StoreError):
    """Another process holds it."""

    code = "locked"


class OccupiedError(StoreError):
    """Another login is there, and nobody has said that it may be lost."""

    code = "occupied"


class RenewalError(CredentialError):
    """The login could not be renewed this time; a later try may succeed."""

    code = "renewal"


class RefusedError(RenewalError):
    """Its issuer refuses to renew this login, for good."""

    code = "login-refused"


class LostRenewalError(RenewalError):
    """A renewal broke off before its answer was kept: this login cannot be renewed any more."""

    code = "renewal-interrupted"


class AccountChangedError(CredentialError):
    """The stored login is somebody else's by now."""

    code = "account-changed"


class PolicyError(CredentialError):
    """A rule of the configuration forbids this login or key; nothing was sent.

    removes: whether a command that wanted to use it removes it, if it is stored. A library never does.
    """

    code = "policy"

    def __init__(self, message: str, *, hint: str | None = None, removes: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.removes = removes


class IllegalHeaderError(CredentialError):
    """A value may not stand in an HTTP header (RFC 9110, section 5.5)."""

    code = "illegal-header"


class CommandError(CredentialError):
    """The command that prints the token failed."""

    code = "command"


class OriginError(KeyfobError):
    """Something would have gone to an origin it must not go to."""

    code = "origin"
