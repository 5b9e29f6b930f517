"""The contract between core and an auth plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from keyfob.credentials.exchange import UnreachableError
from keyfob.credentials.variables import Variables
from keyfob.plugin.interaction import Interaction, Nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.exchange import Answer, Exchange, Send
    from keyfob.credentials.record import Record
    from keyfob.credentials.records import Records
    from keyfob.credentials.source import CredentialSource

Options = TypeVar("Options", bound=BaseModel)
_Has = TypeVar("_Has", bound=BaseModel, covariant=True)
_Reads = TypeVar("_Reads", bound=BaseModel, contravariant=True)


class NoOptions(BaseModel):
    """The options of a plugin that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """What a plugin is told of the provider it authenticates.

    base_url: as it is written, None where the entry has none. It has not been checked, so it is not shown.
    """

    id: str
    name: str
    base_url: str | None = field(repr=False)


def _nowhere(_: Exchange) -> Answer:
    raise UnreachableError("there is no network here")


def _nobody() -> Record | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin may touch, handed to it, so that its tests need no monkeypatching.

    environ: the environment, `.env` layered over it; read it when a credential is asked for, not before. A variable
    that is not set raises UnsetError, which need not be caught.
    clock: the wall clock, seconds since the epoch.
    send: sends one request to the plugin's issuer and follows no redirect. Raises UnreachableError where nothing was
    sent, UnansweredError where something may have been received, and before anything is sent ConfigError for a URL,
    proxy or file of certificates that cannot be used, and IllegalHeaderError for what no header may hold.
    login: returns the login that would be used, as far as can be told without asking anybody; None where there is none.
    It answers in `base_url` of the plugin `openai` alone, whose login goes to more than one origin. Everywhere else it
    returns None, in `records` too: core can read no login before that has said how.
    interaction: whoever signs in; refuses where nobody is there.
    """

    environ: Mapping[str, str]
    clock: Callable[[], float]
    send: Send = field(default=_nowhere, repr=False)
    login: Callable[[], Record | None] = field(default=_nobody, repr=False)
    interaction: Interaction = field(default_factory=Nobody, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.environ, Variables):
            object.__setattr__(self, "environ", Variables(self.environ))


@dataclass(frozen=True, slots=True)
class State:
    """Whether a credential could be had, as far as can be told without running, asking or unlocking anything.

    summary: for people, such as "ready" or "`LAB_KEY` not set". comes_from: where the credential is from.
    headers: the names of the headers it will set. expires_at: seconds since the epoch, None where nobody knows.
    """

    ready: bool
    summary: str
    comes_from: str
    headers: tuple[str, ...] = ("Authorization",)
    expires_at: float | None = None

    @classmethod
    def of_variable(cls, environ: Mapping[str, str], name: str, headers: tuple[str, ...] = ("Authorization",)) -> State:
        """The state of a credential that stands in one environment variable; one that is blank is not set."""
        ready = bool(environ.get(name, "").strip())
        return cls(ready, "ready" if ready else f"`{name}` not set", f"environment variable {name}", headers)


class AuthPlugin(Protocol[_Has]):
    """Code that authenticates one kind of entry.

    Beside these it has `open`, or if it stores logins, `records`: see Opens and SupportsLogin.
    """

    @property
    def key(self) -> str:
        """The config key that selects it: the name of its entry point."""
        ...

    @property
    def options(self) -> type[_Has]:
        """The pydantic model of its table."""
        ...


@runtime_checkable
class Opens(Protocol[_Reads]):
    """A plugin that yields credentials by itself."""

    def open(self, provider: ProviderInfo, options: _Reads, context: Context) -> CredentialSource:
        """The source for one provider. Does no I/O and asks nobody."""
        ...


@runtime_checkable
class SupportsLogin(Protocol[_Reads]):
    """A plugin whose logins core stores, renews, shows and removes."""

    def records(self, provider: ProviderInfo, options: _Reads, context: Context) -> Records:
        """What it knows of the logins of one provider. Does no I/O and asks nobody."""
        ...


@runtime_checkable
class SupportsState(Protocol[_Reads]):
    """A plugin that can tell more about its state than whether `peek` has a credential."""

    def state(self, provider: ProviderInfo, options: _Reads, context: Context) -> State:
        """The state, told without side effects."""
        ...


@runtime_checkable
class SuppliesBaseUrl(Protocol[_Reads]):
    """A plugin that knows where requests go when the entry has no `base_url`."""

    def base_url(self, provider: ProviderInfo, options: _Reads, context: Context) -> str:
        """The base URL for this entry. Asks nobody. Raises ConfigError where there is none.

        It cannot follow from the login, which is bound to its origin: `context.login()` returns None, see Context.
        """
        ...
