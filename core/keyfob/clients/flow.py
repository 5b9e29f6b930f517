"""The flow of one request: sign it, send it, and after a 401 replay it with a newer credential.

Transports, here, and `Auth` differ in who sends, sync and async in how they wait; each says the flow in its own words,
as none can call the other's. This code knows no HTTP library: httpx.py and httpx2.py beside it name theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import anyio

from keyfob.clients.landing import landed
from keyfob.clients.query import joined
from keyfob.clients.replays import UNAUTHORIZED, Replays
from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.signature import Unsigned

if TYPE_CHECKING:
    from keyfob.clients.signing import Signing
    from keyfob.credentials.credential import Credential
    from keyfob.credentials.source import Signer


class Library(Protocol):
    """What the flow has to know of an HTTP library: the type of a body held in memory as bytes."""

    @property
    def ByteStream(self) -> Any: ...  # noqa: N802  # the library's own name


class Flow:
    """What transports and `Auth` have in common."""

    http_library: Library

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._peek = signing.peek
        self._merged = signing.additions.merged
        self._below = f"{signing.base_url}/"

    def _covers(self, request: Any) -> bool:
        """Whether what the entry adds may go with it; if not, that is announced.

        A plain URL is compared, any other is taken apart.
        """
        url = str(request.url)
        if url.startswith(self._below) and "%" not in url and ".." not in url:
            return True
        covered = self._signing.covers(url)
        if not covered:
            self._signing.blocked(url)
        return covered

    def _replayable(self, request: Any) -> bool:
        """Whether the body is still there as bytes, and this is no WebSocket's handshake."""
        return isinstance(request.stream, self.http_library.ByteStream) and "upgrade" not in request.headers


class _Signed(Flow):
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
            return self._inner.handle_request(request)
        if self._signer is not None:
            request.read()
        credential = self._peek() or self._signing.get()
        response = self._inner.handle_request(self._sign(request, credential))
        if response.status_code != UNAUTHORIZED:
            return response
        return self._replayed(request, response, Replays(self._signing, credential))

    def _replayed(self, request: Any, response: Any, replays: Replays) -> Any:
        try:
            while replays.another(response.status_code):
                newer = self._signing.get(replays.credential)
                if not replays.take(newer, replayable=self._replayable(request)):
                    break
                response.close()
                response = self._inner.handle_request(self._sign(request, newer))
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
            return await self._inner.handle_async_request(request)
        if self._signer is not None:
            await request.aread()
        credential = self._peek() or await landed(self._signing.start())
        response = await self._inner.handle_async_request(self._sign(request, credential))
        if response.status_code != UNAUTHORIZED:
            return response
        return await self._replayed(request, response, Replays(self._signing, credential))

    async def _replayed(self, request: Any, response: Any, replays: Replays) -> Any:
        try:
            while replays.another(response.status_code):
                newer = await landed(self._signing.start(replays.credential))
                if not replays.take(newer, replayable=self._replayable(request)):
                    break
                await response.aclose()
                response = await self._inner.handle_async_request(self._sign(request, newer))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
