"""Entra ID on loopback, behind TLS, as azure-identity sends no secret without."""

import contextlib
import ssl
import time
from pathlib import Path
from socket import create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Self

import trustme
from keyfob.testing import Answer, ModelServer, Received

DESCRIPTION = "/contoso/v2.0/.well-known/openid-configuration"
TOKEN = "/contoso/oauth2/v2.0/token"


class Tls(ThreadingTCPServer):
    """Takes TLS off what comes, and hands it on to the port of loopback that it is told."""

    daemon_threads = True
    port = 0

    def __init__(self, authority: trustme.CA) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.context)
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.url = f"https://localhost:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever breaks off has his reasons."""


class Tunnel(BaseRequestHandler):
    """One connection, both ways."""

    server: Tls

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            create_connection(("127.0.0.1", self.server.port)) as inside,
            self.server.context.wrap_socket(self.request, server_side=True) as outside,
        ):
            Thread(target=pump, args=(inside, outside), daemon=True).start()
            pump(outside, inside)


def pump(source: socket, target: socket) -> None:
    """Everything that comes from the one goes to the other, until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(2)


class Entra:
    """A tenant `contoso` whose token endpoint gives these answers, the last one again and again."""

    def __init__(self, authority: trustme.CA, folder: Path, *tokens: Answer) -> None:
        self._tls = Tls(authority)
        described = {"authorization_endpoint": f"{self._tls.url}/authorize", "token_endpoint": self._tls.url + TOKEN}
        self._server = ModelServer(answers={DESCRIPTION: [Answer(body=described)], TOKEN: [*tokens]})
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.environ = {"AZURE_AUTHORITY_HOST": self._tls.url, "CODEX_CA_CERTIFICATE": str(folder / "ca.pem")}

    def __enter__(self) -> Self:
        self._tls.port = int(self._server.start().origin.rpartition(":")[2])
        Thread(target=self._tls.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tls.shutdown()
        self._tls.server_close()
        self._server.stop()

    @property
    def token_url(self) -> str:
        """Where tokens are asked for."""
        return self._tls.url + TOKEN

    @property
    def asked(self) -> list[Received]:
        """The requests for a token."""
        return [request for request in self._server.received if request.path == TOKEN]


def granted(token: str, *, lasts: int = 3600) -> Answer:
    """A token of Entra ID's."""
    return Answer(body={"token_type": "Bearer", "expires_in": lasts, "access_token": token})


def refused(code: str, words: str) -> Answer:
    """A refusal of Entra ID's."""
    return Answer(401, body={"error": "invalid_client", "error_description": f"{code}: {words} Trace ID: 1"})


def managed(token: str, *, lasts: int = 3600) -> Answer:
    """A managed identity's token: App Service says when it expires, a virtual machine how long it lasts."""
    until = str(int(time.time()) + lasts)
    return Answer(body={"access_token": token, "expires_on": until, "expires_in": str(lasts), "token_type": "Bearer"})
