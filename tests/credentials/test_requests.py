"""Requests of real clients, with OpenAI's login in a file and an issuer that revokes the family when one is reused."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.homes import Home, home

from keyfob.clients.httpx import AsyncClient, Client
from keyfob.errors import RenewalError
from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.testing.model_server import Received

__all__ = ["home"]

pytestmark = pytest.mark.slow

PATIENCE = 20
THREADS, TASKS = 64, 16
CONFIG = """
[model_providers.x]
base_url = "{url}"
requires_openai_auth = true
[model_providers.y]
base_url = "{url}"
requires_openai_auth = true
"""


class Scene:
    """A home that is signed in, an issuer, and a model server that accepts what the issuer gave out."""

    def __init__(self, home: Home, issuer: Issuer, **server: Any) -> None:
        self.home, self.issuer = home, issuer
        self.home.environ.update(issuer.environ)
        self.server = ModelServer(accepts=self.accepts, **server)
        self.refuses_all = False

    def sign_in(self, **options: Any) -> None:
        self.home.write(json.dumps(self.issuer.login(**options)), "auth.json")
        (self.home.folder / "auth.json").chmod(0o600)

    @property
    def access_token(self) -> str:
        return str(json.loads((self.home.folder / "auth.json").read_text())["tokens"]["access_token"])

    def accepts(self, received: Received) -> bool:
        return not self.refuses_all and received.header("authorization") == f"Bearer {self.access_token}"


@pytest.fixture
def scene(home: Home) -> Iterator[Scene]:
    """Nobody is signed in yet."""
    with Issuer(delay=0.1) as issuer:
        scene = Scene(home, issuer)
        with scene.server:
            yield scene


def test_64_threads_and_tasks_of_two_event_loops_find_one_expired_login(scene: Scene) -> None:
    """One call to the issuer, and no request fails; the providers share the login."""
    scene.sign_in(expires_in=-60)
    host = scene.home.host(CONFIG.format(url=scene.server.base_url))
    signings = [host.provider(name).signing for name in ("x", "y")]
    clients = [Client(signing) for signing in signings]
    barrier = threading.Barrier(THREADS + 2)

    def in_thread(number: int) -> list[int]:
        barrier.wait(PATIENCE)
        return [clients[number % 2].get("models").status_code]

    async def ask(client: AsyncClient, into: list[int]) -> None:
        into.append((await client.get("models")).status_code)

    async def on_asyncio() -> list[int]:
        got: list[int] = []
        async with AsyncClient(signings[0]) as client:
            barrier.wait(PATIENCE)
            await asyncio.gather(*(ask(client, got) for _ in range(TASKS)))
        return got

    async def on_trio() -> list[int]:
        got: list[int] = []
        async with AsyncClient(signings[1]) as client, trio.open_nursery() as nursery:
            barrier.wait(PATIENCE)
            for _ in range(TASKS):
                nursery.start_soon(ask, client, got)
        return got

    with ThreadPoolExecutor(THREADS + 2) as pool:
        futures = [pool.submit(asyncio.run, on_asyncio()), pool.submit(trio.run, on_trio)]
        futures += [pool.submit(in_thread, number) for number in range(THREADS)]
        got = [status for future in futures for status in future.result(PATIENCE)]
    for client in clients:
        client.close()
    assert got == [200] * (THREADS + 2 * TASKS)
    assert scene.issuer.renewals == len(scene.issuer.presented) == 1


def test_a_proxy_that_refuses_everything_costs_one_renewal(scene: Scene) -> None:
    """However many requests it refuses, and by however many clients."""
    scene.sign_in()
    scene.refuses_all = True
    host = scene.home.host(CONFIG.format(url=scene.server.base_url))
    for name in ("x", "y", "x", "y"):
        with Client(host.provider(name).signing) as client:
            assert client.get("models").status_code == 401
    assert [each.fields["refresh_reason"] for each in scene.issuer.presented] == ["unauthorized_recovery"]


def test_many_threads_that_are_refused_at_once_have_it_renewed_once(scene: Scene) -> None:
    """The server does not accept the token any more, though it has not expired."""
    scene.sign_in()
    good = scene.access_token
    scene.issuer.answers = []
    host = scene.home.host(CONFIG.format(url=scene.server.base_url))
    scene.accepts = lambda received: received.header("authorization") != f"Bearer {good}"  # type: ignore[method-assign]
    scene.server._accepts = scene.accepts
    signing, barrier = host.provider("x").signing, threading.Barrier(16)

    def in_thread(_: int) -> int:
        with Client(signing) as client:
            barrier.wait(PATIENCE)
            return client.get("models").status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(in_thread, range(16))) == {200}
    assert scene.issuer.renewals == 1
    assert not scene.issuer.reused


def test_a_redirect_of_the_issuer_is_not_followed(scene: Scene) -> None:
    """A login goes to its issuer and to nobody else; it may be a captive portal, so that it is tried again later."""
    scene.sign_in(expires_in=-60)
    with ModelServer() as elsewhere:
        scene.issuer.answers = [307]
        scene.issuer.headers = {"Location": f"{elsewhere.base_url}/oauth/token"}
        source = scene.home.provider(CONFIG.format(url=scene.server.base_url)).source
        with pytest.raises(RenewalError, match="answered 307"):
            source.get()
        assert elsewhere.received == []
    assert len(scene.issuer.presented) == 1
