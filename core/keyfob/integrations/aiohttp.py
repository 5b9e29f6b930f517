"""aiohttp, 3.12.7 and later, with the credentials of a provider.

    from keyfob.integrations.aiohttp import Middleware, session
    async with session("corp") as client, client.get("models") as response:
        print(await response.json())

    aiohttp.ClientSession(middlewares=[..., Middleware("corp")])     # or in a session of your own

aiohttp's middlewares are asked on every hop of a redirect. Ours should be the last: those after it see the credential,
as do trace hooks for what is sent (`on_request_headers_sent`, `on_request_chunk_sent`).
Proxies and certificates are aiohttp's own matter (`proxy`, `trust_env`, `connector`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.api import resolved, signing_of
from keyfob.clients.landing import landed
from keyfob.clients.replays import Replays
from keyfob.clients.signed import covers, hide_query, sign
from keyfob.clients.signing import CONNECT
from keyfob.errors import UsageError

try:
    import aiohttp
    from aiohttp.payload import BytesPayload, Payload
    from yarl import URL
except ModuleNotFoundError as error:
    raise ImportError("keyfob.integrations.aiohttp needs aiohttp: pip install 'aiohttp>=3.12.7'") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from keyfob.credentials.credential import Credential
    from keyfob.host import Host
    from keyfob.providers import Provider

__all__ = ["Middleware", "session"]


def session(
    provider: str | Provider | None = None, *, host: Host | None = None, **options: Any
) -> aiohttp.ClientSession:
    """An `aiohttp.ClientSession` for one provider; made in a running event loop, as any.

    Its base URL and time-outs are the entry's. provider: an id, a Provider, or None for the default one of `host`.
    options: those of `ClientSession`; its `middlewares` come before ours. Raises ConfigError where the provider cannot
    be used.
    """
    found = resolved(provider, host)
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT, sock_read=found.signing.read_timeout)
    middlewares = (*options.pop("middlewares", ()), Middleware(found))
    given = {"base_url": f"{found.signing.base_url}/", "timeout": timeout, **options}
    return aiohttp.ClientSession(**given, middlewares=middlewares)


class Middleware:
    """A client middleware that signs what goes to its provider, and lets everything else pass as it is.

    A provider on this machine is reached past proxies. Replayed after a 401 is what is held in memory, and no
    WebSocket's handshake. Raises ConfigError where the provider cannot be used; requests raise OriginError,
    CredentialError and PluginError besides the library's own errors.
    """

    def __init__(self, provider: str | Provider | None = None, *, host: Host | None = None) -> None:
        self._signing = signing_of(provider, host)
        self._direct = self._signing.base_url.origin.loopback

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        if not covers(self._signing, str(request.url)):
            return await handler(request)
        if self._direct:
            request.proxy = request.proxy_auth = request.proxy_headers = None
        body = await self._read(request) if self._signing.signer is not None else b""

        async def send(credential: Credential) -> ClientResponse:
            return await self._sent(request, handler, credential, body)

        credential = self._signing.peek() or await landed(self._signing.start())
        replayable = _replayable(request)
        return await self._replayed(send, await send(credential), credential, replayable=replayable)

    async def _replayed(
        self,
        send: Callable[[Credential], Awaitable[ClientResponse]],
        response: ClientResponse,
        credential: Credential,
        *,
        replayable: bool,
    ) -> ClientResponse:
        replays = Replays(self._signing, credential)
        try:
            while replays.another(response.status):
                newer = await landed(self._signing.start(replays.credential))
                if not replays.take(newer, replayable=replayable):
                    break
                response.release()
                response = await send(newer)
        except BaseException:
            response.close()
            raise
        return response

    async def _sent(
        self, request: Any, handler: ClientHandlerType, credential: Credential, body: bytes
    ) -> ClientResponse:
        """The answer to the request, which is signed for that long. It, its answer and errors show it as it was."""
        before = request.headers, request.url, request.response_class
        shown = request.request_info

        def response_class(*args: Any, **options: Any) -> ClientResponse:
            answered: ClientResponse = before[2](*args, **{**options, "request_info": shown})
            return answered

        request.headers, request.response_class = request.headers.copy(), response_class
        try:
            url = sign(self._signing, credential, request.method, str(request.url), request.headers, body)
            request.url = URL(url, encoded=True)
            return await handler(request)
        except aiohttp.ClientError as error:
            hide_query(self._signing, error)
            raise
        finally:
            request.headers, request.url, request.response_class = before

    async def _read(self, request: ClientRequest) -> bytes:
        """The body, all of which is signed; a streamed one is then sent in one piece."""
        if request.compress:
            raise UsageError(f"{self._signing.provider} signs each request, so aiohttp must not compress its body")
        if not isinstance(request.body, Payload):
            return b""
        content = await request.body.as_bytes()
        if not isinstance(request.body, BytesPayload):
            request.headers.popall("Transfer-Encoding", None)
            request.chunked = None
            await request.update_body(content)
        return content


def _replayable(request: ClientRequest) -> bool:
    return (not request.body or isinstance(request.body, BytesPayload)) and "Upgrade" not in request.headers
