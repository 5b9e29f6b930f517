"""WebSockets: the handshake is signed where requests are, and is not replayed."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from keyfob.clients import httpx2 as ours

from .ways import Renewing, Way, signing, static

if TYPE_CHECKING:
    from collections.abc import Iterator

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


class WebSocketServer:
    """Answers each handshake with the next status of the script; after a 101 it says `hello` and closes."""

    def __init__(self, *statuses: int) -> None:
        self.heads: list[dict[str, str]] = []
        self._statuses = list(statuses)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator[WebSocketServer]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        with closing(self._listener):
            yield self
            self._listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                connection.settimeout(20)
                self._answer(connection, lines)

    def _answer(self, connection: socket.socket, lines: Any) -> None:
        lines.readline()
        pairs = (line.decode().strip().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
        head = {name.lower(): value for name, value in pairs}
        self.heads.append(head)
        status = self._statuses.pop(0)
        if status != 101:
            connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % status)
            return
        accept = base64.b64encode(hashlib.sha1(head["sec-websocket-key"].encode() + _GUID).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
        )
        connection.sendall(b"\x81\x05hello\x88\x00")
        with suppress(OSError):
            while connection.recv(4096):
                pass


@pytest.fixture
def serve() -> Any:
    return lambda *statuses: WebSocketServer(*statuses).running()


def shake_hands(way: Way, provider: Any, url: str) -> int:
    """Send a handshake as WebSocket libraries do through a client; the status of the answer."""
    with way.client(provider) as client:
        request = client.client.build_request("GET", url, headers=HANDSHAKE)
        response = client.send(request, stream=True)
        client._call(response.aclose if way.backend else response.close)
        return int(response.status_code)


class TestHandshake:
    @pytest.mark.parametrize("scheme", ["ws", "http"])
    def test_it_is_signed_at_the_providers_origin(self, way: Way, serve: Any, scheme: str) -> None:
        """ws counts as http."""
        with serve(101) as server:
            provider = signing(static({"X-Key": "secret"}), f"http://127.0.0.1:{server.port}/v1")
            assert shake_hands(way, provider, f"{scheme}://127.0.0.1:{server.port}/v1/realtime") == 101
        assert server.heads[0]["x-key"] == "secret"
        assert server.heads[0]["upgrade"] == "websocket"

    @pytest.mark.parametrize("base", ["https://127.0.0.1:{}/v1", "http://127.0.0.1:{}/v2", "http://localhost:{}/v1"])
    def test_it_is_not_signed_elsewhere(self, way: Way, serve: Any, base: str) -> None:
        """Another scheme, path or host: the origin is checked before headers are given."""
        with serve(101) as server:
            provider = signing(static({"X-Key": "secret"}), base.format(server.port))
            assert shake_hands(way, provider, f"ws://127.0.0.1:{server.port}/v1/realtime") == 101
        assert "x-key" not in server.heads[0]

    def test_it_is_not_replayed_but_the_next_has_the_new_credential(self, way: Way, serve: Any) -> None:
        """Whoever opens the socket decides whether to try again."""
        source = Renewing()
        with serve(401, 101) as server:
            provider = signing(source, f"http://127.0.0.1:{server.port}/v1")
            url = f"ws://127.0.0.1:{server.port}/v1/realtime"
            assert [shake_hands(way, provider, url) for _ in range(2)] == [401, 101]
        assert [head["authorization"] for head in server.heads] == ["Bearer token-1", "Bearer token-2"]

    def test_wss_is_https(self, way: Way) -> None:
        """And ws to the same host is another origin."""
        wire = way.wire()
        with way.client(signing(), transport=wire) as client:
            for scheme in ("wss", "ws"):
                client.get(f"{scheme}://api.example.com/v1/realtime", headers=HANDSHAKE)
        assert ["authorization" in sent.headers for sent in wire.sent] == [True, False]


class TestHttpx2:
    """httpx2 has WebSockets of its own: `client.websocket`."""

    @pytest.fixture(autouse=True)
    def _needs_wsproto(self) -> None:
        pytest.importorskip("wsproto", reason="wsproto is missing: pip install 'httpx2[ws]'")

    def test_its_sessions_are_signed(self, serve: Any) -> None:
        """Under the base URL, by a relative address."""
        with serve(101) as server:
            provider = signing(Renewing(), f"http://127.0.0.1:{server.port}/v1")
            with ours.Client(provider) as client, client.websocket("realtime") as session:
                assert session.receive_text(timeout=20) == "hello"
        assert server.heads[0]["authorization"] == "Bearer token-1"

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_its_async_sessions_are_signed(self, serve: Any, backend: str) -> None:
        """By an absolute address, ws://."""

        async def listen(port: int) -> str:
            provider = signing(Renewing(), f"http://127.0.0.1:{port}/v1")
            url = f"ws://127.0.0.1:{port}/v1/realtime"
            async with ours.AsyncClient(provider) as client, client.websocket(url) as session:
                return await session.receive_text(timeout=20)

        with serve(101) as server:
            assert anyio.run(partial(listen, server.port), backend=backend) == "hello"
        assert server.heads[0]["authorization"] == "Bearer token-1"

    def test_a_refused_handshake_is_its_error(self, serve: Any) -> None:
        """Once; the credential is renewed."""
        from httpx2.websockets import WebSocketUpgradeError

        source = Renewing()
        with serve(401) as server:
            provider = signing(source, f"http://127.0.0.1:{server.port}/v1")
            with (
                ours.Client(provider) as client,
                pytest.raises(WebSocketUpgradeError),
                client.websocket("realtime"),
            ):
                raise AssertionError
        assert len(server.heads) == 1
        assert source.number == 2
