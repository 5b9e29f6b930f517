"""The ways to send a request (httpx or httpx2, sync or async), and what stands for plugin and network."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from keyfob.clients.additions import Additions
from keyfob.clients.origin import BaseUrl
from keyfob.clients.signing import Signing
from keyfob.credentials.credential import Credential
from keyfob.credentials.event import unheard
from keyfob.credentials.source import StaticSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keyfob.credentials.event import Announce

BASE = "https://api.example.com/v1"
# Made once: each client would read the certificates of the machine again.
_TLS = {"verify": ssl.create_default_context()}


class Session:
    """An open client of any kind; its methods wait for the answer, and read it."""

    def __init__(self, client: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
        self.client = client
        self._call = call

    def request(self, method: str, url: str, **options: Any) -> Any:
        return self._call(partial(self.client.request, method, url, **options))

    def get(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        return self.request("POST", url, **options)

    def send(self, request: Any, **options: Any) -> Any:
        return self._call(partial(self.client.send, request, **options))


@dataclass(frozen=True)
class Way:
    """One library, and how it is called: `backend` is None for sync, else the name of the event loop."""

    name: str
    backend: str | None

    def __str__(self) -> str:
        return f"{self.name}-{self.backend or 'sync'}"

    @property
    def http_library(self) -> Any:
        return {"httpx": httpx, "httpx2": httpx2}[self.name]

    @property
    def ours(self) -> Any:
        """keyfob's module for the library."""
        return import_module(f"keyfob.clients.{self.name}")

    def client(self, signing: Signing, **options: Any) -> Any:
        """Open keyfob's client, as a context manager of a Session."""
        made = self.ours.AsyncClient if self.backend else self.ours.Client
        return self._open(partial(made, signing, **_TLS, **options))

    def plain(self, **options: Any) -> Any:
        """The same for the library's own client."""
        made = self.http_library.AsyncClient if self.backend else self.http_library.Client
        return self._open(partial(made, **_TLS, **options))

    def transport(self, **options: Any) -> Any:
        """The library's own transport to the network."""
        return (self.http_library.AsyncHTTPTransport if self.backend else self.http_library.HTTPTransport)(
            **_TLS, **options
        )

    @contextmanager
    def _open(self, make: Callable[[], Any]) -> Iterator[Session]:
        if self.backend is None:
            with make() as client:
                yield Session(client, lambda function: function())
            return
        with start_blocking_portal(self.backend) as portal:
            client = make()
            with portal.wrap_async_context_manager(client):
                yield Session(client, portal.call)

    def iterator(self, *chunks: bytes) -> Any:
        """A body that can be read but once."""

        async def pieces() -> Any:
            for chunk in chunks:
                yield chunk

        return pieces() if self.backend else iter(chunks)

    def wire(self, answer: Callable[[Any], Any] = lambda request: 200) -> Any:
        """See Wire."""
        return type("Wire", (Wire, self.http_library.BaseTransport, self.http_library.AsyncBaseTransport), {})(
            self, answer
        )


SYNC = [Way("httpx", None), Way("httpx2", None)]
ASYNC = [Way("httpx", "asyncio"), Way("httpx2", "asyncio")]
TRIO = [Way("httpx", "trio"), Way("httpx2", "trio")]
WAYS = [*SYNC, *ASYNC]


@dataclass
class Sent:
    """One request as it went out."""

    method: str
    url: str
    headers: Any  # of the library: names compare without case
    body: bytes | None  # None: a stream


@dataclass
class Wire:
    """Stands for the network: records each request, leaves its body alone, and answers what `answer` makes of it.

    `answer` returns a status or a response of the library, or raises. `open` counts the answers that are not closed.
    """

    way: Way
    answer: Callable[[Any], Any]
    sent: list[Sent] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    def handle_request(self, request: Any) -> Any:
        held = isinstance(request.stream, self.way.http_library.ByteStream)
        body = b"".join(request.stream) if held else None
        self.sent.append(Sent(request.method, str(request.url), self.way.http_library.Headers(request.headers), body))
        answer = self.answer(request)
        return self._response(answer) if isinstance(answer, int) else answer

    async def handle_async_request(self, request: Any) -> Any:
        return self.handle_request(request)

    def redirect(self, status: int, location: str) -> Any:
        return self._response(status, {"Location": location})

    def _response(self, status: int, headers: Mapping[str, str] | None = None) -> Any:
        library, wire = self.way.http_library, self

        class Body(library.SyncByteStream, library.AsyncByteStream):
            def __init__(self) -> None:
                wire.open += 1
                wire.most_open = max(wire.open, wire.most_open)
                self._closed = False

            def __iter__(self) -> Any:
                yield b"body"

            async def __aiter__(self) -> Any:
                yield b"body"

            def close(self) -> None:
                wire.open -= not self._closed
                self._closed = True

            async def aclose(self) -> None:
                await checkpoint()  # as a socket does: who is cancelled does not get beyond it
                self.close()

        return library.Response(status, headers=headers, stream=Body())

    def __hash__(self) -> int:
        return id(self)


class Renewing:
    """A source whose n-th credential is the token `token-n`; after `last` it has no other. Counts its calls."""

    def __init__(self, last: int = 99, *, at_hand: bool = True) -> None:
        self.last = last
        self.number = 0
        self.rejected: list[Credential | None] = []
        self._lock = threading.Lock()
        self._credential: Credential | None = self._next() if at_hand else None

    def _next(self) -> Credential:
        self.number += 1
        return Credential.bearer(f"token-{self.number}")

    def peek(self) -> Credential | None:
        return self._credential

    def get(self, *, rejected: Credential | None = None) -> Credential:
        with self._lock:
            self.rejected.append(rejected)
            if self._credential is None or (rejected is self._credential and self.number < self.last):
                self._credential = self._next()
            return self._credential


def static(headers: Mapping[str, str]) -> StaticSource:
    """A source that always has these headers."""
    return StaticSource(lambda: headers)


def signing(
    source: Any = None,
    base_url: str = BASE,
    *,
    http_headers: Mapping[str, str] = {},
    env_http_headers: Mapping[str, str] = {},
    query_params: Mapping[str, str] = {},
    environ: Mapping[str, str] = {},
    announce: Announce = unheard,
) -> Signing:
    """A provider `corp` as a client sees it; by default its credential is the token `secret`."""
    return Signing(
        "corp",
        BaseUrl.parse(base_url),
        Additions(http_headers, env_http_headers, query_params, environ),
        static({"Authorization": "Bearer secret"}) if source is None else source,
        environ=environ,
        read_timeout=10,
        announce=announce,
    )
