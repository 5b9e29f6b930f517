"""aiohttp through keyfob: what is its own, middlewares, WebSockets and the event loop. See test_adapters.py."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

import pytest

import keyfob
from keyfob.testing import fake_provider
from keyfob.testing.model_server import ModelServer

from .seen import bearers

aiohttp = pytest.importorskip("aiohttp")
integration: Any = importlib.import_module("keyfob.integrations.aiohttp")
Middleware, session = integration.Middleware, integration.session


def test_a_session_of_the_users_own_signs_what_goes_to_the_provider(server):
    """Two providers in one session, each with its own; a middleware before ours sees no credential, also after."""
    seen: list[str] = []

    async def look(request, handler):
        response = await handler(request)
        seen.append(f"{request.url} {request.headers} {request.request_info} {response.request_info}")
        return response

    async def ask(other: ModelServer) -> None:
        ours = [
            Middleware(fake_provider(tokens=[f"secret-{name}"], base_url=each.base_url, query_params={"k": "secret"}))
            for name, each in (("a", server), ("b", other))
        ]
        async with aiohttp.ClientSession(middlewares=[look, *ours]) as client:
            for url in (server.base_url, other.base_url, server.origin):
                async with client.get(f"{url}/models") as response:
                    await response.read()

    with ModelServer() as other:
        asyncio.run(ask(other))
        assert bearers(other) == ["Bearer secret-b"]
    assert bearers(server) == ["Bearer secret-a", None]
    assert len(seen) == 3
    assert "secret" not in str(seen)


def test_a_session_has_the_entrys_settings_and_the_callers(server):
    """The time to read is the entry's, the time in all is nobody's: answers are streamed."""

    async def look() -> None:
        provider = fake_provider(base_url=server.base_url, stream_idle_timeout_ms=7_000)
        async with session(provider) as client, session(provider, timeout=aiohttp.ClientTimeout(5)) as other:
            assert (client.timeout.total, client.timeout.sock_read) == (None, 7.0)
            assert other.timeout.total == 5
            with pytest.raises(aiohttp.ClientResponseError) as caught:
                await client.get("nothing", raise_for_status=True)
        assert "fake-token" not in repr(caught.value)

    asyncio.run(look())
    assert bearers(server) == ["Bearer fake-token"]


def test_the_event_loop_goes_on_while_a_credential_is_fetched(server, host, tmp_path):
    """The command waits for a file that only another task of the same loop makes."""
    file = tmp_path / "go"
    waiting = "import os, sys, time\nfor _ in range(400):\n  os.path.exists(sys.argv[1]) and (print('t'), exit())\n"
    args = ["-I", "-c", f"{waiting}  time.sleep(.01)\nexit(1)", str(file)]

    async def ask() -> None:
        made = host(server.base_url, f"auth = {{ command = '{sys.executable}', args = {json.dumps(args)} }}")
        async with session(keyfob.provider("corp", host=made)) as client:
            request = asyncio.create_task(client.get("models"))
            await asyncio.sleep(0)
            file.touch()
            (await request).release()

    asyncio.run(ask())
    assert bearers(server) == ["Bearer t"]


def test_the_handshake_of_a_websocket_is_signed_and_not_replayed(server):
    """The server answers it with 401 as any other request; the error shows no credential."""

    async def connect(base_url: str) -> None:
        async with session(fake_provider(tokens=["secret-1", "secret-2"], base_url=base_url)) as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client.ws_connect("responses")
        assert caught.value.status == 401
        assert "secret" not in repr(caught.value)

    with ModelServer(accepts=lambda received: False) as server:
        asyncio.run(connect(server.base_url))
        assert bearers(server) == ["Bearer secret-1"]


def test_a_credential_takes_the_place_of_every_authorization(server):
    """aiohttp takes several of one name."""

    async def ask() -> None:
        async with session(fake_provider(base_url=server.base_url)) as client:
            headers = [("Authorization", "one"), ("Authorization", "two")]
            (await client.get("models", headers=headers)).release()

    asyncio.run(ask())
    assert server.received[0].header_list("authorization") == ["Bearer fake-token"]


def test_a_request_that_is_cancelled_meanwhile_leaves_the_session_usable(server):
    """Nothing waits for it any more, and what it had of its request is as it was."""

    async def ask() -> int:
        async with session(fake_provider(base_url=server.base_url)) as client:
            request = asyncio.create_task(client.get("models"))
            await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            async with client.get("models") as response:
                return response.status

    assert asyncio.run(ask()) == 200
