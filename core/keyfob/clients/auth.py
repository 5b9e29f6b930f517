"""The flow of one request as an `Auth` of a client of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.clients.flow import Flow
from keyfob.clients.landing import landed
from keyfob.clients.proxies import proxy_for
from keyfob.clients.replays import Replays
from keyfob.errors import OriginError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

    from keyfob.clients.additions import Merged
    from keyfob.clients.signing import Signing
    from keyfob.credentials.credential import Credential

_HINT = "use keyfob's Client, which guards every hop"


class AuthFlow(Flow):
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

    def _another(self, request: Any, response: Any, replays: Replays) -> bool:
        """Not after the answer to a request that a redirect led to: this very one has been done, once is enough."""
        return response.request is request and replays.another(response.status_code)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Carry out the flow of one request of a sync client."""
        if not self._covers(request):
            yield request
            return
        replays = Replays(self._signing, self._peek() or self._signing.get())
        self._set(request, replays.credential)
        while self._another(request, (yield request), replays):
            newer = self._signing.get(replays.credential)
            if not replays.take(newer, replayable=self._replayable(request)):
                return
            self._set(request, newer)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Carry out the flow of one request of an async client."""
        if not self._covers(request):
            yield request
            return
        replays = Replays(self._signing, self._peek() or await landed(self._signing.start()))
        self._set(request, replays.credential)
        while self._another(request, (yield request), replays):
            newer = await landed(self._signing.start(replays.credential))
            if not replays.take(newer, replayable=self._replayable(request)):
                return
            self._set(request, newer)


def _beside_authorization(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower() != "authorization"]


def through_proxy(signing: Signing) -> bool:
    """Whether a client of the user's own would show a credential for this machine to the environment's proxy."""
    origin = signing.base_url.origin
    return origin.scheme == "http" and origin.loopback and proxy_for(origin, signing.environ) is not None
