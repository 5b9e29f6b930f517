"""Clients and `Auth` for httpx2. No other module imports httpx2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import httpx2
except ModuleNotFoundError as error:
    raise ImportError("keyfob.httpx2 needs httpx2: pip install httpx2") from error

from keyfob.clients.auth import AuthFlow
from keyfob.clients.flow import AsyncSignedTransport, SignedTransport
from keyfob.clients.network import AsyncNetwork, Network
from keyfob.clients.options import client_options

if TYPE_CHECKING:
    from keyfob.clients.signing import Signing


class Transport(SignedTransport, httpx2.BaseTransport):
    """Signs what goes to its provider, and nothing else."""

    http_library = httpx2


class AsyncTransport(AsyncSignedTransport, httpx2.AsyncBaseTransport):
    """The same for an async client."""

    http_library = httpx2


class Client(httpx2.Client):
    """An `httpx2.Client` whose base URL is the provider's and whose transport signs."""

    def __init__(self, signing: Signing, **options: Any) -> None:  # those of httpx2.Client
        def sign(inner: httpx2.BaseTransport | Network) -> Transport:
            return Transport(signing, inner)

        super().__init__(**client_options(signing, options, httpx2, httpx2.HTTPTransport, Network, sign))


class AsyncClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` whose base URL is the provider's and whose transport signs."""

    def __init__(self, signing: Signing, **options: Any) -> None:  # those of httpx2.AsyncClient
        def sign(inner: httpx2.AsyncBaseTransport | AsyncNetwork) -> AsyncTransport:
            return AsyncTransport(signing, inner)

        super().__init__(**client_options(signing, options, httpx2, httpx2.AsyncHTTPTransport, AsyncNetwork, sign))


class Auth(AuthFlow, httpx2.Auth):
    """For a client of your own: guards `Authorization`, and refuses a provider that sends anything else."""

    http_library = httpx2
