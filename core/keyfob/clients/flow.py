"""The flow of one request: sign it, send it, and after a 401 replay it with a newer credential, twice at the most.

What happens is said once, in `attempts`; transports and `Auth`, sync and async, only carry it out. The code here knows
no HTTP library: httpx.py and httpx2.py beside it name the types of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.from_thread
import anyio.lowlevel

from keyfob.credentials.credential import Credential
from keyfob.errors import OriginError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from concurrent.futures import Future

    from keyfob.clients.signing import Signing

MAX_REPLAYS = 2
_UNAUTHORIZED = 401


class Ask:
    """A step of the flow: get a credential, other than the rejected one if there is another."""

    __slots__ = ("rejected",)

    def __init__(self, rejected: Credential | None) -> None:
        self.rejected = rejected


def attempts(fresh: Credential | None, replayable: Callable[[], bool]) -> Generator[Ask | Credential, Any, None]:
    """The steps of one request. Send the answer to each `Ask` back in, and the status after each credential's use."""
    credential = fresh if fresh is not None else (yield Ask(None))
    for _ in range(MAX_REPLAYS):
        status = yield credential
        if status != _UNAUTHORIZED:
            return
        newer = yield Ask(credential)
        if newer is credential or not replayable():
            return
        credential = newer
    yield credential


class Library(Protocol):
    """What the flow has to know of an HTTP library: its request, and the type of a body held in memory."""

    @property
    def Request(self) -> Any: ...  # noqa: N802  # the library's own name

    @property
    def ByteStream(self) -> Any: ...  # noqa: N802


class _Flow:
    """What transports and `Auth` have in common."""

    library: Library

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._covers = signing.covers
        self._peek = signing.peek

    def _attempts(self, request: Any) -> Generator[Ask | Credential, Any, None]:
        # A WebSocket's handshake is not replayed.
        return attempts(self._peek(), lambda: self._in_memory(request) and "upgrade" not in request.headers)

    def _in_memory(self, request: Any) -> bool:
        """Whether the body is held as bytes; anything else would be replayed empty."""
        return isinstance(request.stream, self.library.ByteStream)


class _Signed(_Flow):
    """A transport that signs what goes to its provider and lets everything else pass as it is.

    It signs a copy: a redirect is built from the original, which never held a credential.
    """

    def __init__(self, signing: Signing, inner: Any) -> None:  # a transport of either library
        super().__init__(signing)
        self._inner = inner

    def _copy(self, request: Any, credential: Credential) -> Any:
        additions, url = self._signing.additions, request.url
        if additions.query:
            url = url.copy_merge_params(additions.query)
        signed = self.library.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        additions.merged(credential).set_on(signed.headers)
        if self._signing.signer is not None:
            self._add_signature(signed)
        return signed

    def _add_signature(self, request: Any) -> None:
        if not self._in_memory(request):
            raise UsageError(f"{self._signing.provider} signs each request, so its body must be bytes, not a stream")
        headers, body = dict(request.headers), b"".join(request.stream)
        signature = self._signing.signer.sign(request.method, str(request.url), headers, body)  # type: ignore[union-attr]
        request.headers.update(signature)


class SignedTransport(_Signed):
    """The transport of a sync client."""

    def handle_request(self, request: Any) -> Any:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        if not self._covers(str(request.url)):
            return self._inner.handle_request(request)
        response = None
        steps = self._attempts(request)
        step = next(steps)
        try:
            while True:
                if isinstance(step, Credential):
                    if response is not None:
                        response.close()
                    response = self._inner.handle_request(self._copy(request, step))
                    step = steps.send(response.status_code)
                else:
                    step = steps.send(self._signing.get(step.rejected))
        except StopIteration:
            return response
        except BaseException:
            if response is not None:
                response.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class AsyncSignedTransport(_Signed):
    """The transport of an async client: the same, but what may block is awaited."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        if not self._covers(str(request.url)):
            return await self._inner.handle_async_request(request)
        response = None
        steps = self._attempts(request)
        step = next(steps)
        try:
            while True:
                if isinstance(step, Credential):
                    if response is not None:
                        await response.aclose()
                    response = await self._inner.handle_async_request(self._copy(request, step))
                    step = steps.send(response.status_code)
                else:
                    step = steps.send(await landed(self._signing.start(step.rejected)))
        except StopIteration:
            return response
        except BaseException:
            if response is not None:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class AuthFlow(_Flow):
    """The same as an `Auth` for a client of the user's own, which can guard `Authorization` alone.

    Both libraries follow redirects inside the auth flow, and strip no other header on the way to another origin.
    """

    requires_request_body = False
    requires_response_body = False

    def __init__(self, signing: Signing) -> None:
        super().__init__(signing)
        others = [name for name in signing.additions.header_names if name.lower() != "authorization"]
        others += ["query_params"] if signing.additions.query else []
        others += ["a signature"] if signing.signer else []
        if others:
            raise _unguarded(signing, others)

    def _set(self, request: Any, credential: Credential) -> None:
        others = [name for name in credential.headers if name.lower() != "authorization"]
        if others:
            raise _unguarded(self._signing, others)
        self._signing.additions.merged(credential).set_on(request.headers)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Carry out the flow of one request of a sync client."""
        if not self._covers(str(request.url)):
            yield request
            return
        steps = self._attempts(request)
        step = next(steps, None)
        while step is not None:
            if isinstance(step, Credential):
                self._set(request, step)
                response = yield request
                step = _send(steps, response.status_code)
            else:
                step = _send(steps, self._signing.get(step.rejected))

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Carry out the flow of one request of an async client."""
        if not self._covers(str(request.url)):
            yield request
            return
        steps = self._attempts(request)
        step = next(steps, None)
        while step is not None:
            if isinstance(step, Credential):
                self._set(request, step)
                response = yield request
                step = _send(steps, response.status_code)
            else:
                step = _send(steps, await landed(self._signing.start(step.rejected)))


def _send(steps: Generator[Ask | Credential, Any, None], value: object) -> Ask | Credential | None:
    """The next step, or None after the last."""
    try:
        return steps.send(value)
    except StopIteration:
        return None


def _unguarded(signing: Signing, names: list[str]) -> OriginError:
    return OriginError(
        f"{signing.provider} sends {', '.join(names)}: a bare Auth could not keep that from following a redirect",
        hint="use keyfob's Client, which guards every hop",
    )


async def landed(future: Future[Credential]) -> Credential:
    """Wait for a future of another thread, on asyncio and trio alike. Being cancelled changes nothing for it."""
    if not future.done():
        event, token = anyio.Event(), anyio.lowlevel.current_token()
        future.add_done_callback(lambda _: _wake(event, token))
        await event.wait()
    return future.result()


def _wake(event: anyio.Event, token: Any) -> None:  # anyio's token of an event loop
    try:
        anyio.from_thread.run_sync(event.set, token=token)
    except (RuntimeError, anyio.RunFinishedError):
        return  # that event loop has ended, and with it whoever waited there
