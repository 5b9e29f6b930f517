"""Base classes: a plugin that needs no more than these is a few lines long."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar, get_args

from pydantic import BaseModel

from keyfob.credentials.credential import Credential, NotHeadersError
from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.credentials.minting import MintingSource
from keyfob.credentials.records import required
from keyfob.credentials.signature import SigningKey
from keyfob.credentials.signer import SigningSource
from keyfob.credentials.source import CredentialSource, StaticSource
from keyfob.errors import CredentialError
from keyfob.plugin.contract import Context, Options, ProviderInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import ClassVar

    from keyfob.credentials.records import Records
    from keyfob.credentials.signature import Unsigned

_Given = TypeVar("_Given")


class _Base(Generic[Options]):
    """Finds the options model in the class statement: `class Portkey(StaticAuth[PortkeyOptions])`."""

    key: ClassVar[str]
    options: type[Options]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, BaseModel):
                    cls.options = argument  # type: ignore[assignment]  # the argument is what Options stands for


class StaticAuth(_Base[Options]):
    """A plugin that keeps nothing: its headers follow from the options and the environment.

    Write `key` and `headers`; raise a CredentialError where a value is missing.
    """

    @required
    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        """The headers that authenticate a request, name → value. Called for each request: keep it cheap."""
        raise NotImplementedError  # the author writes it; core refuses a plugin without

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        """A source that asks `headers` each time."""
        return StaticSource(lambda: self.headers(options, context))


class StoredAuth(_Base[Options]):
    """A plugin whose logins core keeps: the environment's, else the stored one, renewed if `records` is a Rotation.

    Write `key` and `records`.
    """

    @required
    def records(self, provider: ProviderInfo, options: Options, context: Context) -> Records:
        """What it knows of the logins of one provider. Does no I/O and asks nobody."""
        raise NotImplementedError  # the author writes it; core refuses a plugin without


class _Kept(_Base[Options]):
    """A plugin whose credential core keeps until it expires."""

    def max_age(self, options: Options) -> float | None:
        """Seconds after which a credential without `expires_at` is fetched anew; None = only after a 401."""
        return None


class MintingAuth(_Kept[Options]):
    """A plugin that can ask for a new credential whenever it likes: a command, client credentials, a cloud SDK.

    Write `key` and `mint`; core caches what it returns, renews it before it expires and after a 401, and never runs
    two calls for one provider at once.
    """

    @required
    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        """A new credential. May block; called in a thread.

        Raises CredentialError; what `context.environ` raises for a variable that is not set, and what `context.send`
        raises, need not be caught.
        """
        raise NotImplementedError  # the author writes it; core refuses a plugin without

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        """A source that caches what `mint` returns."""
        return MintingSource(
            lambda: self._minted(provider, options, context), clock=context.clock, max_age=self.max_age(options)
        )

    def _minted(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        with _told(provider):
            return _given(Credential, self.mint(provider, options, context), "mint()")


def _given(kind: type[_Given], found: _Given, by: str) -> _Given:
    """What a plugin's method returned, if it is of that kind; a slip of its author's is told by the kind it is of."""
    if not isinstance(found, kind):
        raise NotHeadersError(f"{by} returned a {type(found).__name__}, not a {kind.__name__}")
    return found


@contextmanager
def _told(provider: ProviderInfo) -> Iterator[None]:
    """Say what `context.send` raises as what it means for a credential."""
    try:
        yield
    except (UnreachableError, UnansweredError) as error:
        raise CredentialError(f"{provider.id}: {error}") from error


class SigningAuth(_Kept[Options]):
    """A plugin whose headers are computed from each request: AWS SigV4, RFC 9421, an HMAC of a gateway's own.

    Write `key`, `signing_key` and `sign`; core keeps the key as it keeps what a minting plugin returns, reads streamed
    bodies, and sends nothing where either raises.
    """

    @required
    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        """What to sign with. May block; called in a thread. Raises as `mint` of a MintingAuth does.

        When a variable of `context.environ` that it read has changed, it is called again.
        """
        raise NotImplementedError  # the author writes it; core refuses a plugin without

    @required
    def sign(self, request: Unsigned, key: SigningKey, options: Options, context: Context) -> Mapping[str, str]:
        """The headers that sign this request, name → value. Called for each one, anew for each that is sent again.

        Does no I/O: an event loop may be waiting. key: what `signing_key` returned.
        """
        raise NotImplementedError  # the author writes it; core refuses a plugin without

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        """A Signer that keeps what `signing_key` returns."""
        return SigningSource(
            lambda environ: self._fetched(provider, options, replace(context, environ=environ)),
            lambda request, key: self.sign(request, key, options, context),
            environ=context.environ,
            clock=context.clock,
            max_age=self.max_age(options),
        )

    def _fetched(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        with _told(provider):
            return _given(SigningKey, self.signing_key(provider, options, context), "signing_key()")
