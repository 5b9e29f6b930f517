"""Clients and `Auth` for httpx. No other module imports httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from keyfob.clients.flow import AsyncSignedTransport, AuthFlow, SignedTransport
from keyfob.clients.network import AsyncNetwork, Network
from keyfob.clients.options import client_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.signing import Signing


class Transport(SignedTransport, httpx.BaseTransport):
    """Signs what goes to its provider, and nothing else."""

    http_library = httpx


class AsyncTransport(AsyncSignedTransport, httpx.AsyncBaseTransport):
    """The same for an async client."""

    http_library = httpx


class Client(httpx.Client):
    """An `httpx.Client` whose base URL is the provider's and whose transport signs."""

    def __init__(self, signing: Signing, **options: Any) -> None:  # those of httpx.Client
        def sign(inner: httpx.BaseTransport | Network) -> Transport:
            return Transport(signing, inner)

        super().__init__(**client_options(signing, options, httpx, httpx.HTTPTransport, Network, sign))


class AsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` whose base URL is the provider's and whose transport signs."""

    def __init__(self, signing: Signing, **options: Any) -> None:  # those of httpx.AsyncClient
        def sign(inner: httpx.AsyncBaseTransport | AsyncNetwork) -> AsyncTransport:
            return AsyncTransport(signing, inner)

        super().__init__(**client_options(signing, options, httpx, httpx.AsyncHTTPTransport, AsyncNetwork, sign))


class Auth(AuthFlow, httpx.Auth):
    """For a client of your own: guards `Authorization`, and refuses a provider that sends anything else."""

    http_library = httpx


def issuer_client(url: str, timeout: float, environ: Mapping[str, str]) -> httpx.Client:  # noqa: ARG001
    """A client for one request to an issuer. timeout: seconds without a byte."""
    return httpx.Client(timeout=httpx.Timeout(30.0, read=timeout), follow_redirects=False)


def sending_errors() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """What httpx raises where nothing was sent, and where something may have been."""
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
    return unsent, (httpx.HTTPError, httpx.InvalidURL)
