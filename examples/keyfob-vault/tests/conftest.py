"""The real server: OpenBao in dev mode, on loopback, with TLS. It keeps everything in memory."""

from __future__ import annotations

import os
import re
import socket
import socketserver
import subprocess
import sysconfig
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 30.0


class Server(NamedTuple):
    """A running server: hvac's client with the root token, the file of its authority, and what unseals it."""

    root: Any
    cacert: str
    unseal_key: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with KV version 2 at `secret`, version 1 at `old`, and AppRole."""
    folder = tmp_path_factory.mktemp("bao")
    address, cacert = f"127.0.0.1:{_free_port()}", str(folder / "vault-ca.pem")
    process = _start(folder, address)
    client = hvac.Client(f"https://{address}", "the-root-token", verify=cacert)
    try:
        unseal_key = _ready(process, client, folder / "log")
        client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
        client.sys.enable_auth_method("approle")
        yield Server(client, cacert, unseal_key)
    finally:
        client.adapter.close()
        process.terminate()
        process.wait(10)


def _start(folder: Path, address: str) -> subprocess.Popen[bytes]:
    bao = os.path.join(sysconfig.get_path("scripts"), "bao")
    listens = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address={address}"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [bao, "server", *listens, "-dev-no-store-token", "-dev-root-token-id=the-root-token"],
            cwd=folder,
            env={"HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


class _Valkey(socketserver.StreamRequestHandler):
    """What the server's database engine needs of a Valkey: that it agrees to users that come and go."""

    def handle(self) -> None:
        """Read commands, each an array of strings (the RESP protocol), and say OK."""
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
            self.wfile.write(b"-ERR unknown command\r\n" if words[0] == b"HELLO" else b"+OK\r\n")


@pytest.fixture(scope="session")
def database(server: Server) -> Iterator[str]:
    """The path of a secret that the server makes when it is read, with a lease of 90 seconds."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Valkey) as valkey:
        valkey.daemon_threads, valkey.block_on_close = True, False
        threading.Thread(target=valkey.serve_forever, daemon=True).start()
        host, port = valkey.server_address
        there = {"host": host, "port": port, "username": "u", "password": "p", "allowed_roles": "*"}
        server.root.sys.enable_secrets_engine("database")
        server.root.write_data("database/config/v", data={"plugin_name": "valkey-database-plugin", **there})
        role = {"db_name": "v", "creation_statements": '["+@read"]', "default_ttl": "90s"}
        server.root.write_data("database/roles/team", data=role)
        yield "creds/team"
        valkey.shutdown()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _ready(process: subprocess.Popen[bytes], client: Any, log: Path) -> str:
    """Wait until it answers; the key that unseals it, which it prints when it has started."""
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        printed = re.search(r"^Unseal Key: (\S+)", log.read_text("utf-8"), re.MULTILINE)
        if printed and client.sys.is_initialized():
            return printed[1]
        time.sleep(0.05)
    raise RuntimeError("OpenBao did not get ready")
