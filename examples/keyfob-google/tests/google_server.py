"""Google on loopback: a proxy that is asked for oauth2.googleapis.com and answers in its place.

google-auth sends a user's refresh token to that address and to no other, whatever the file says. So the test goes the
way of a company that looks into TLS: an HTTPS_PROXY, and a certificate authority that the user trusts.
"""

import contextlib
import ssl
from socket import create_connection, socket
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import trustme


class Proxy(ThreadingTCPServer):
    """Takes CONNECT, answers TLS with a certificate for that host, and hands on what it reads to a port of loopback."""

    daemon_threads = True

    def __init__(self, authority: trustme.CA, port: int) -> None:
        self.authority, self.port = authority, port
        self.connected: list[str] = []
        super().__init__(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def certificate(self, host: str) -> ssl.SSLContext:
        """What it shows in the place of this host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host).configure_cert(context)
        return context


class Connection(StreamRequestHandler):
    """One CONNECT, and then both ways."""

    server: Proxy
    rbufsize = 0  # what follows the request is TLS

    def handle(self) -> None:
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        self.server.connected.append(target)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.server.certificate(target.partition(":")[0])
        with (
            contextlib.suppress(OSError),
            create_connection(("127.0.0.1", self.server.port)) as inside,
            context.wrap_socket(self.request, server_side=True) as outside,
        ):
            Thread(target=pump, args=(inside, outside), daemon=True).start()
            pump(outside, inside)


def pump(source: socket, target: socket) -> None:
    """Everything that comes from the one goes to the other, until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(2)
