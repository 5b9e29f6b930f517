"""requests, 2.32.2 and later, with the credentials of a provider.

    from keyfob.integrations.requests import Session
    with Session("corp") as session:
        session.get("models").raise_for_status()

    session = requests.Session()                     # or in a session of your own, for what is below the prefix
    session.mount("https://llm.example.com/v1", Adapter("corp"))

A transport adapter and no `AuthBase`: requests follows redirects above its `auth`, and strips `Authorization` alone.
Proxies and certificates are requests' own matter (`proxies`, `verify`, REQUESTS_CA_BUNDLE), and so is what urllib3
logs: URLs with the entry's query parameters, at level WARNING where it tries one again.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from keyfob.api import resolved, signing_of
from keyfob.clients.replays import Replays
from keyfob.clients.signed import covers, hide_query, sign
from keyfob.clients.signing import CONNECT

try:
    import requests
    from requests.adapters import BaseAdapter, HTTPAdapter
except ModuleNotFoundError as error:
    raise ImportError("keyfob.integrations.requests needs requests: pip install 'requests>=2.32.2'") from error

if TYPE_CHECKING:
    from requests import PreparedRequest, Request, Response

    from keyfob.credentials.credential import Credential
    from keyfob.host import Host
    from keyfob.providers import Provider

__all__ = ["Adapter", "Session"]


class Adapter(BaseAdapter):
    """A transport adapter that signs what goes to its provider, and lets everything else pass as it is.

    provider: an id, a Provider, or None for the default one of `host`. inner: what sends, by default an `HTTPAdapter`.
    Where a request names no time-out it is the entry's; a provider on this machine is reached past proxies. Replayed
    after a 401 is what is held in memory. Raises ConfigError where the provider cannot be used; requests raise
    OriginError, CredentialError and PluginError besides the library's own errors.
    """

    def __init__(
        self, provider: str | Provider | None = None, inner: BaseAdapter | None = None, *, host: Host | None = None
    ) -> None:
        super().__init__()
        self._signing = signing_of(provider, host)
        self._inner = inner or HTTPAdapter()

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002  # the library's own signature
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002  # the library's own, too
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """Send one request; the last answer, which may be a 401 that no newer credential could mend."""
        options = {"stream": stream, "timeout": timeout, "verify": verify, "cert": cert, "proxies": proxies}
        if not covers(self._signing, request.url or ""):
            return self._inner.send(request, **options)
        if timeout is None:
            options["timeout"] = (CONNECT, self._signing.read_timeout)
        if self._signing.base_url.origin.loopback:
            options["proxies"] = {}
        if self._signing.signer is not None:
            _read(request)
        credential = self._signing.peek() or self._signing.get()
        return self._replayed(request, self._sent(request, credential, options), credential, options)

    def _replayed(
        self, request: PreparedRequest, response: Response, credential: Credential, options: dict[str, Any]
    ) -> Response:
        replays = Replays(self._signing, credential)
        try:
            while replays.another(response.status_code):
                newer = self._signing.get(replays.credential)
                if not replays.take(newer, replayable=isinstance(request.body, bytes | str | None)):
                    break
                response.close()
                response = self._sent(request, newer, options)
        except BaseException:
            response.close()
            raise
        return response

    def _sent(self, request: PreparedRequest, credential: Credential, options: dict[str, Any]) -> Any:
        """The answer to a signed copy. A redirect is built from the original, which is also all that is shown."""
        signed: Any = request.copy()
        body, headers = request.body if isinstance(request.body, bytes) else b"", cast("Any", request.headers)
        signed.headers.setdefault("Host", urlsplit(signed.url).netloc.rpartition("@")[2])  # a signature may be of it
        signed.url = sign(self._signing, credential, signed.method, signed.url, signed.headers, body)
        self._signing.additions.merged(credential).take_from(headers)
        try:
            response: Any = self._inner.send(signed, **options)
        except requests.RequestException as error:
            error.request = request
            hide_query(self._signing, error)
            raise
        response.request, response.url, response.connection = request, request.url, self
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class Session(requests.Session):
    """A `requests.Session` for one provider: relative URLs are below its base URL, every adapter mounted signs."""

    def __init__(self, provider: str | Provider | None = None, *, host: Host | None = None) -> None:
        self._keyfob = resolved(provider, host)
        self._base_url = str(self._keyfob.signing.base_url)
        super().__init__()

    def mount(self, prefix: Any, adapter: BaseAdapter) -> None:
        """Have an adapter carry what begins with `prefix`, signed."""
        super().mount(prefix, adapter if isinstance(adapter, Adapter) else Adapter(self._keyfob, adapter))

    def prepare_request(self, request: Request) -> PreparedRequest:
        """The request as it will be sent, but for what the entry adds."""
        request = copy(request)
        url = request.url.decode() if isinstance(request.url, bytes) else str(request.url)
        if not all(urlsplit(url)[:2]):  # scheme and host
            request.url = f"{self._base_url}/{url.lstrip('/')}"
        return super().prepare_request(request)


def _read(request: Any) -> None:
    """Have a body in memory as bytes: all of it is signed."""
    body = request.body
    if body is None or isinstance(body, bytes):
        return
    content = body.read() if hasattr(body, "read") else body if isinstance(body, str) else b"".join(body)
    request.headers.pop("Transfer-Encoding", None)
    request.prepare_body(content.encode() if isinstance(content, str) else content, None)
    request._body_position = None  # of the stream that it was
