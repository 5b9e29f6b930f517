"""Clients and `Auth` for httpx. No other module imports httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from keyfob.clients.auth import AuthFlow
from keyfob.clients.flow import AsyncSignedTransport, SignedTransport
from keyfob.clients.network import AsyncNetwork, Network
from keyfob.clients.options import client_options
from keyfob.clients.signing import CONNECT
from keyfob.clients.trust import trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.origin import Origin
    from keyfob.clients.proxies import Proxy
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


def issuer_client(origin: Origin, timeout: float, environ: Mapping[str, str], proxy: Proxy | None) -> httpx.Client:
    """A client for one request to an issuer, which neither follows redirects nor looks at the process's environment.

    timeout: seconds without a byte. Raises ConfigError for a proxy or file of certificates that cannot be used.
    """
    # Plain http needs no certificates, and reading them takes longer than all the rest.
    verify = trusted(environ) if origin.scheme == "https" else False
    make = httpx.HTTPTransport
    transport = make(verify=verify) if proxy is None else proxy.transport(httpx, make, verify=verify)
    limits = httpx.Timeout(min(timeout, CONNECT), read=timeout)
    return httpx.Client(transport=transport, timeout=limits, trust_env=False, follow_redirects=False)


def sending_errors() -> tuple[type[Exception], ...]:
    """What httpx raises where a request cannot be made, sent, or its answer be read; ValueError holds UnicodeError."""
    return httpx.HTTPError, httpx.InvalidURL, ValueError
