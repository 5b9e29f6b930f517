"""The real server: OpenBao in dev mode, on loopback, which keeps everything in memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sysconfig
import time
from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The server's hvac client with the root token. It has KV version 2 at `secret`, and version 1 at `old`."""
    folder = tmp_path_factory.mktemp("bao")
    address = f"127.0.0.1:{_free_port()}"
    command = [os.path.join(sysconfig.get_path("scripts"), "bao"), "server", "-dev", "-dev-no-store-token"]
    given = [f"-dev-listen-address={address}", "-dev-root-token-id=the-root-token"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *given], cwd=folder, env={"HOME": str(folder)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    client = hvac.Client(f"http://{address}", "the-root-token")
    try:
        _wait(process, client)
        client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
        client.sys.enable_auth_method("approle")
        yield client
    finally:
        client.adapter.close()
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], client: Any) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if "secret/" in client.sys.list_mounted_secrets_engines()["data"]:
                return
        except (OSError, hvac.exceptions.VaultError):  # requests' errors are OSErrors
            pass
        time.sleep(0.05)
    raise RuntimeError("OpenBao did not get ready")
