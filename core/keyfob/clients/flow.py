"""The flow of one request: sign it, send it, and after a 401 replay it with a newer credential, twice at the most.

Transports and `Auth` differ in who sends, sync and async in how they wait; each says the flow in its own words, as none
can call the other's. The code here knows no HTTP library: httpx.py and httpx2.py beside it name theirs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.lowlevel

from keyfob.clients.proxies import proxy_for
from keyfob.clients.query import joined
from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.signature import Unsigned
from keyfob.errors import OriginError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable
    from concurrent.futures import Future

    from keyfob.clients.additions import Merged
    from keyfob.clients.signing import Signing
    from keyfob.credentials.credential import Credential
    from keyfob.credentials.source import Signer

MAX_REPLAYS = 2
_UNAUTHORIZED = 401
_HINT = "use keyfob's Client, which guards every hop"


class Library(Protocol):
    """What the flow has to know of an HTTP library: the type of a body held in memory as bytes."""

    @property
    def ByteStream(self) -> Any: ...  # noqa: N802  # the library's own name


class _Flow:
    """What transports and `Auth` have in common."""

    http_library: Library

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._peek = signing.peek
        self._merged = signing.additions.merged
        self._below = f"{signing.base_url}/"

    def _covers(self, request: Any) -> bool:
        """Whether what the entry adds may go with it. A plain URL is compared, any other is taken apart."""
        url = str(request.url)
        if url.startswith(self._below) and "%" not in url and ".." not in url:
            return True
        return self._signing.covers(url)

    def _replayable(self, request: Any) -> bool:
        """Whether the body is still there as bytes, and this is no WebSocket's handshake."""
        return isinstance(request.stream, self.http_library.ByteStream) and "upgrade" not in request.headers

    def _stays(self, request: Any, refused: Credential, newer: Credential) -> bool:
        """Whether a 401 stays the answer: there is no other credential, which is announced, or no body to replay."""
        if newer is refused:
            self._signing.refused(refused)
        return newer is refused or not self._replayable(request)


class _Signed(_Flow):
    """A transport that signs what goes to its provider and lets everything else pass as it is.

    It signs a copy: a redirect is built from the original, which never holds a credential.
    """

    def __init__(self, signing: Signing, inner: Any) -> None:  # a transport of either library
        super().__init__(signing)
        self._inner = inner
        self._query = signing.additions.query
        self._signer = signing.signer

    def _sign(self, request: Any, credential: Credential) -> Any:
        """A signed copy of the request."""
        merged = self._merged(credential)
        signed = _copy(request)
        signed.headers = headers = type(request.headers)(request.headers)
        merged.set_on(headers)
        if len(headers) != len(request.headers) + len(merged.pairs):
            # The client library had set one of them, as the OpenAI SDK does from OPENAI_API_KEY. It stays behind too.
            merged.take_from(request.headers)
        if self._query:
            signed.url = request.url.copy_with(query=joined(request.url.query.decode(), self._query).encode())
        if self._signer is not None:
            _add_signature(signed, self._signer, credential)
        return signed


def _add_signature(request: Any, signer: Signer, credential: Credential) -> None:
    """Sign a request whose body has been read. It is sent in one piece then, with its length."""
    if request.headers.pop("Transfer-Encoding", None):
        request.headers["Content-Length"] = str(len(request.content))
    unsigned = Unsigned(request.method, str(request.url).partition("#")[0], dict(request.headers), request.content)
    request.headers.update(SecretHeaders(signer.sign(unsigned, credential)))


def _copy(request: Any) -> Any:
    """What the constructor would make of it in five times the time, and its body, if that has been read."""
    copy = object.__new__(type(request))
    copy.method, copy.url, copy.headers = request.method, request.url, request.headers
    copy.stream, copy.extensions = request.stream, request.extensions
    if hasattr(request, "_content"):
        copy._content = request._content
    return copy


class SignedTransport(_Signed):
    """The transport of a sync client."""

    def handle_request(self, request: Any) -> Any:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        if not self._covers(request):
            self._signing.blocked(str(request.url))
            return self._inner.handle_request(request)
        if self._signer is not None:
            request.read()
        credential = self._peek() or self._signing.get()
        response = self._inner.handle_request(self._sign(request, credential))
        if response.status_code != _UNAUTHORIZED:
            return response
        return self._replayed(request, credential, response)

    def _replayed(self, request: Any, refused: Credential, response: Any) -> Any:
        try:
            for _ in range(MAX_REPLAYS):
                newer = self._signing.get(refused)
                if self._stays(request, refused, newer):
                    break
                response.close()
                response = self._inner.handle_request(self._sign(request, newer))
                if response.status_code != _UNAUTHORIZED:
                    break
                refused = newer
            else:
                self._signing.refused(refused)
        except BaseException:
            response.close()
            raise
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class AsyncSignedTransport(_Signed):
    """The transport of an async client: the same, but what may block is awaited."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        if not self._covers(request):
            self._signing.blocked(str(request.url))
            return await self._inner.handle_async_request(request)
        if self._signer is not None:
            await request.aread()
        credential = self._peek() or await landed(self._signing.start())
        response = await self._inner.handle_async_request(self._sign(request, credential))
        if response.status_code != _UNAUTHORIZED:
            return response
        return await self._replayed(request, credential, response)

    async def _replayed(self, request: Any, refused: Credential, response: Any) -> Any:
        try:
            for _ in range(MAX_REPLAYS):
                newer = await landed(self._signing.start(refused))
                if self._stays(request, refused, newer):
                    break
                await response.aclose()
                response = await self._inner.handle_async_request(self._sign(request, newer))
                if response.status_code != _UNAUTHORIZED:
                    break
                refused = newer
            else:
                self._signing.refused(refused)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class AuthFlow(_Flow):
    """The same as an `Auth` for a client of the user's own, which can guard `Authorization` alone.

    Both libraries follow redirects inside the auth flow; on the way to another origin they strip that header and no
    other. (Within the origin they keep it, so a redirect to above the base path takes it along.)
    """

    requires_request_body = False
    requires_response_body = False

    def __init__(self, signing: Signing) -> None:
        super().__init__(signing)
        self._judged: Merged | None = None
        self._refuse(
            [
                *_beside_authorization(signing.additions.header_names),
                *signing.additions.query,
                *(["a signature"] if signing.signer else []),
            ]
        )
        if signing.base_url.origin.scheme == "http" and signing.base_url.origin.port == 80:
            what = f"{signing.provider} is at {signing.base_url}"
            raise OriginError(f"{what}, from where a redirect to https takes Authorization along", hint=_HINT)
        if through_proxy(signing):
            raise OriginError(
                f"{signing.provider} is on this machine, but a proxy of the environment gets it", hint=_HINT
            )

    def _refuse(self, others: list[str]) -> None:
        if others:
            what = f"{self._signing.provider} sends {', '.join(others)}"
            raise OriginError(f"{what}: a bare Auth could not keep that from following a redirect", hint=_HINT)

    def _set(self, request: Any, credential: Credential) -> None:
        merged = self._merged(credential)
        if merged is not self._judged:
            self._refuse(_beside_authorization(credential.headers))
            self._judged = merged
        merged.set_on(request.headers)

    def _refused(self, request: Any, response: Any) -> bool:
        """Whether this very request was refused, not one that a redirect led to: it has been done, once is enough."""
        return response.status_code == _UNAUTHORIZED and response.request is request

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Carry out the flow of one request of a sync client."""
        if not self._covers(request):
            self._signing.blocked(str(request.url))
            yield request
            return
        credential = self._peek() or self._signing.get()
        for _ in range(MAX_REPLAYS):
            self._set(request, credential)
            if not self._refused(request, (yield request)):
                return
            newer = self._signing.get(credential)
            if self._stays(request, credential, newer):
                return
            credential = newer
        self._set(request, credential)
        if self._refused(request, (yield request)):
            self._signing.refused(credential)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Carry out the flow of one request of an async client."""
        if not self._covers(request):
            self._signing.blocked(str(request.url))
            yield request
            return
        credential = self._peek() or await landed(self._signing.start())
        for _ in range(MAX_REPLAYS):
            self._set(request, credential)
            if not self._refused(request, (yield request)):
                return
            newer = await landed(self._signing.start(credential))
            if self._stays(request, credential, newer):
                return
            credential = newer
        self._set(request, credential)
        if self._refused(request, (yield request)):
            self._signing.refused(credential)


def _beside_authorization(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower() != "authorization"]


def through_proxy(signing: Signing) -> bool:
    """Whether a client of the user's own would show a credential for this machine to the environment's proxy."""
    origin = signing.base_url.origin
    return origin.scheme == "http" and origin.loopback and proxy_for(origin, signing.environ) is not None


async def landed(future: Future[Credential]) -> Credential:
    """Wait for a future of another thread, on asyncio and trio alike. Being cancelled changes nothing for it."""
    if not future.done():
        event, soon = anyio.Event(), _soon()
        future.add_done_callback(lambda _: soon(event.set))
        await event.wait()
    return future.result()


def _soon() -> Callable[[Callable[[], None]], None]:
    """A way to have something called in the running event loop from any thread, without waiting for it to be done.

    (`anyio.from_thread` waits: on a loop that ends meanwhile, for ever.)
    """
    loop: Any = anyio.lowlevel.current_token().native_token
    call_soon = getattr(loop, "run_sync_soon", None) or loop.call_soon_threadsafe  # trio's, or asyncio's

    def soon(call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and with it whoever waited there
            call_soon(call)

    return soon
