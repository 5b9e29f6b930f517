"""OpenAI's SDK, 2.34 and later, with the credentials of a provider.

    from keyfob.integrations.openai import OpenAI
    OpenAI(provider="corp").responses.create(model="demo", input="hi")

Both classes are the SDK's own, on an HTTP client of keyfob's: its transport signs, replays after a 401 and guards every
hop. The SDK itself never holds a credential. (So what it sends without an HTTP client, its WebSockets, is not signed.)
"""

from __future__ import annotations

import functools
import weakref
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from keyfob.api import resolved
from keyfob.clients.auth import through_proxy
from keyfob.errors import KeyfobError, OriginError

try:
    import openai
except ModuleNotFoundError as error:
    raise ImportError("keyfob.integrations.openai needs OpenAI's SDK: pip install 'openai>=2.34'") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from keyfob.clients import httpx2 as clients
    from keyfob.clients.signing import Signing
    from keyfob.host import Host
    from keyfob.providers import Provider
else:
    # SDK 2.x is built on httpx, 3.x on httpx2; its default client derives from that library's.
    clients = import_module(f"keyfob.clients.{openai.DefaultHttpxClient.__base__.__module__}")

__all__ = ["AsyncOpenAI", "OpenAI"]

_LIBRARY: Any = clients.Transport.http_library
# What the SDK calls its keys. Where they are given it does not look for OPENAI_API_KEY and OPENAI_ADMIN_KEY, and our
# transport takes off the header that it makes of them.
_KEYS = dict.fromkeys(("api_key", "admin_api_key"), "signed-by-keyfob")


class OpenAI(openai.OpenAI):
    """An `openai.OpenAI` for one provider.

    provider: an id, a Provider, or None for the default one of `host`. options: those of `openai.OpenAI`, but no key,
    and a `base_url` only at or below the provider's; `http_client` is one of the SDK's own HTTP library, for its
    connections (proxies, certificates, limits). No OPENAI_* variable changes where a request goes or what is on it.

    Raises ConfigError where the provider cannot be used, OriginError for another `base_url`, and TypeError for a key or
    for a client of another HTTP library. Requests raise our errors as they are, each of them an `openai.OpenAIError`
    too.
    """

    def __init__(self, *, provider: str | Provider | None = None, host: Host | None = None, **options: Any) -> None:
        self._keyfob = resolved(provider, host)
        super().__init__(**_options(self._keyfob.signing, options, _client))
        _forget_environment(self, options)

    def copy(self, **options: Any) -> Self:
        """A client with some options changed, for the same provider."""
        return super().copy(_extra_kwargs={"provider": self._keyfob}, **options)

    with_options = copy


class AsyncOpenAI(openai.AsyncOpenAI):
    """An `openai.AsyncOpenAI` for one provider; see OpenAI."""

    def __init__(self, *, provider: str | Provider | None = None, host: Host | None = None, **options: Any) -> None:
        self._keyfob = resolved(provider, host)
        super().__init__(**_options(self._keyfob.signing, options, _async_client))
        _forget_environment(self, options)

    def copy(self, **options: Any) -> Self:
        """A client with some options changed, for the same provider."""
        return super().copy(_extra_kwargs={"provider": self._keyfob}, **options)

    with_options = copy


# What the SDK is given


def _options(signing: Signing, given: Mapping[str, Any], client: Callable[[Signing, Any], Any]) -> dict[str, Any]:
    for name, placeholder in _KEYS.items():
        if given.get(name) not in (None, placeholder):
            raise TypeError(f"{name} is given, but it is provider {signing.provider} that says what the key is")
    base_url = str(given.get("base_url") or signing.base_url)
    if not signing.covers(base_url):
        raise OriginError(f"{signing.provider}'s credential goes to {signing.base_url} and below; so must base_url")
    return {**given, **_KEYS, "base_url": base_url, "http_client": client(signing, given.get("http_client"))}


def _forget_environment(client: Any, given: Mapping[str, Any]) -> None:
    """Drop what the SDK took from OPENAI_ORG_ID, OPENAI_PROJECT_ID, OPENAI_CUSTOM_HEADERS: that is for OpenAI alone."""
    client.organization = given.get("organization")
    client.project = given.get("project")
    client._custom_headers = given.get("default_headers") or {}


def _client(signing: Signing, given: Any) -> _Client:
    if isinstance(given, _Client):  # the SDK hands it on to a copy
        return given
    client = _Client(signing, **_client_options(signing, given, _LIBRARY.Client, _Through))
    if given is None:  # few close the SDK's client, so it closes itself, and so does ours
        weakref.finalize(client, client._transport.close)
    return client


def _async_client(signing: Signing, given: Any) -> _AsyncClient:
    if isinstance(given, _AsyncClient):
        return given
    return _AsyncClient(signing, **_client_options(signing, given, _LIBRARY.AsyncClient, _AsyncThrough))


def _client_options(signing: Signing, given: Any, wanted: type[Any], through: type[Any]) -> dict[str, Any]:
    """The SDK's defaults, or the user's client and its settings."""
    if given is None:
        return {
            "timeout": openai.DEFAULT_TIMEOUT,
            "limits": openai.DEFAULT_CONNECTION_LIMITS,
            "follow_redirects": True,
        }
    if not isinstance(given, wanted):
        name, its = f"{_LIBRARY.__name__}.{wanted.__name__}", f"{type(given).__module__}.{type(given).__name__}"
        raise TypeError(f"http_client must be an {name}, as OpenAI's SDK {openai.__version__} uses, not an {its}")
    settings = {name: getattr(given, name) for name in ("event_hooks", "follow_redirects", "timeout")}
    if given.trust_env and through_proxy(signing):  # this machine is reached directly, which that client would not do
        return settings
    return {**settings, "transport": through(given)}


# What it sends with


class _Client(clients.Client):
    """Raises what the SDK does not retry."""

    def send(self, request: Any, **options: Any) -> Any:
        with _as_sdk_errors():
            return super().send(request, **options)


class _AsyncClient(clients.AsyncClient):
    """Raises what the SDK does not retry."""

    async def send(self, request: Any, **options: Any) -> Any:
        with _as_sdk_errors():
            return await super().send(request, **options)


class _Through:
    """The transports of the user's client, which hold its connections. What is signed is seen by nothing else of it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def handle_request(self, request: Any) -> Any:
        return self._client._transport_for_url(request.url).handle_request(request)

    def close(self) -> None:
        self._client.close()


class _AsyncThrough:
    """The same for an async client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def handle_async_request(self, request: Any) -> Any:
        return await self._client._transport_for_url(request.url).handle_async_request(request)

    async def aclose(self) -> None:
        await self._client.aclose()


# What it raises


@contextmanager
def _as_sdk_errors() -> Iterator[None]:
    """Make our errors the SDK's as well: 2.x retries everything else that a client raises, and hides it in the end."""
    try:
        yield
    except KeyfobError as error:
        raise _as_sdk_error(error) from error.__cause__


def _as_sdk_error(error: KeyfobError) -> KeyfobError:
    kind = _as_sdk_class(type(error))  # type: ignore[arg-type]  # mypy asks an instance's __hash__ of the class
    both = kind.__new__(kind, *error.args)
    vars(both).update(vars(error))
    return both.with_traceback(error.__traceback__)


@functools.cache  # one class for each kind: whoever groups errors does so by their type
def _as_sdk_class(kind: type[KeyfobError]) -> type[KeyfobError]:
    def plain(self: KeyfobError) -> tuple[Any, ...]:  # pickle finds classes by name, and would not find this one
        return kind, self.args, vars(self)

    return type(kind.__name__, (kind, openai.OpenAIError), {"__module__": kind.__module__, "__reduce__": plain})
