"""Servers on loopback that do with a connection what the test says: break it off, drip, speak TLS, or pass it on."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any, Self

import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Raw:
    """A server on 127.0.0.1, for `with`. act: what it does with a connection, whose request it has read by then.

    tls: speak TLS first. unread: do not read a request. received: what each connection sent.
    """

    def __init__(
        self, act: Callable[[socket.socket], object], *, tls: ssl.SSLContext | None = None, unread: bool = False
    ) -> None:
        self._act, self._tls, self._unread = act, tls, unread
        self.received: list[bytes] = []
        self.errors: list[Exception] = []
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its token endpoint."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/oauth/token"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self.received.append(b"" if self._unread else read_request(connection))
                with connection:
                    self._act(connection)
            except OSError as error:
                self.errors.append(error)


def read_request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    text = b""
    while b"\r\n\r\n" not in text and (part := connection.recv(65536)):
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]) and (part := connection.recv(65536)):
        text, body = text + part, body + part
    return text


def answers(text: bytes) -> Callable[[socket.socket], object]:
    """Send this, and end the connection."""
    return lambda connection: connection.sendall(text)


def http(body: bytes = b"{}", status: str = "200 OK", **headers: object) -> bytes:
    """A whole answer."""
    fields = {"Content-Length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def resets(connection: socket.socket) -> None:
    """End it by a reset, not in the orderly way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection: socket.socket) -> None:
    """Wait until the other side has had enough."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def drips(text: bytes, every: float, end: bytes = b"") -> Callable[[socket.socket], object]:
    """Send a byte at a time, for longer than anybody here has patience, and then the end; `every`: seconds."""

    def act(connection: socket.socket) -> None:
        pause = threading.Event()
        for byte in text + b" " * 60 + end:
            connection.sendall(bytes([byte]))
            pause.wait(every)

    return act


class Tunnels:
    """What an HTTP proxy does with CONNECT: every host is the server at `port`. greeting: what is said before that."""

    def __init__(self, port: int, *, greeting: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.port, self._greeting = port, greeting

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(self._greeting)
        with socket.create_connection(("127.0.0.1", self.port)) as other:
            pairs = {connection: other, other: connection}
            while True:
                for ready in select.select(list(pairs), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pairs[ready].sendall(data)


class Authority:
    """A certificate authority of the test's own, its certificate in a file."""

    def __init__(self, folder: Path, name: str = "ca.pem") -> None:
        self.ca = trustme.CA()
        self.text = self.ca.cert_pem.bytes()
        self.file = str(folder / name)
        (folder / name).write_bytes(self.text)

    def server(self, *names: str, verify: bool = False) -> ssl.SSLContext:
        """A server's context for these names, by default for loopback. verify: it demands a certificate of clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
        if verify:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, folder: Path) -> tuple[str, str]:
        """The files of a client's certificate and key."""
        made: Any = self.ca.issue_cert("client.example")
        certificate, key = folder / "client.pem", folder / "client.key"
        certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return str(certificate), str(key)
