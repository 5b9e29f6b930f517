"""Signing in on one host with the browser of another: two network namespaces, each with a loopback of its own.

What `ssh -L PORT:127.0.0.1:PORT` does, a forwarder does here: it listens on the loopback of the one host, and connects
on that of the other. The issuer is on the internet, that is: by another forwarder on the loopback of each.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from .shared import CONFIG, KEYFOB, CodexHome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyfob.testing.issuer import Issuer

_CLONE_NEWNET = 0x40000000
_HERE = "192.0.2.1"  # RFC 5737: of nobody
_THERE = "192.0.2.2"
PORT = 1455
BROWSER = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=30) as page:
        print(page.url, page.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
"""
"""Goes where it is sent, as that of somebody who is signed in at the issuer already; prints where it ends."""


class Machine:
    """A host, with its own network. environ: of what runs on it."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        self.name, self._environ = name, environ

    def starts(self, *command: str) -> subprocess.Popen[str]:
        """Run a program there."""
        whole = ["ip", "netns", "exec", self.name, *command]
        pipe = subprocess.PIPE
        return subprocess.Popen(whole, env=self._environ, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def browses(self, address: str) -> str:
        """What its browser shows in the end: address and page, or why there is none."""
        out, err = self.starts(sys.executable, "-I", "-c", BROWSER, address).communicate(timeout=60)
        assert not err
        return out

    def listens(self, port: int, address: str = "127.0.0.1") -> socket.socket:
        with self._inside():
            return socket.create_server((address, port))

    def connects(self, port: int) -> socket.socket:
        with self._inside():
            return socket.create_connection(("127.0.0.1", port), timeout=10)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """A socket stays where it was made; of this process it is this thread alone that goes there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as back, open(f"/run/netns/{self.name}", "rb") as there:
            if libc.setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                assert libc.setns(back.fileno(), _CLONE_NEWNET) == 0


@contextlib.contextmanager
def forwarded(listening: socket.socket, connect: Callable[[], socket.socket]) -> Iterator[None]:
    """Pass each connection on, one at a time."""

    def serve() -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                near, _ = listening.accept()
                with near, connect() as far:
                    back = threading.Thread(target=_pump, args=(far, near))
                    back.start()
                    _pump(near, far)
                    back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        with listening:
            listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _pump(source: socket.socket, goal: socket.socket) -> None:
    source.settimeout(20)
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            goal.sendall(part)
        goal.shutdown(socket.SHUT_WR)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@pytest.fixture
def machines(home: CodexHome) -> Iterator[tuple[Machine, Machine]]:
    """The remote one, and that of whoever sits before it; a cable is between them."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("two hosts take root, and iproute2 (Debian: apt-get install iproute2)")
    names = [f"keyfob-{side}-{secrets.token_hex(4)}" for side in ("remote", "desk")]
    try:
        try:
            for name in names:
                _ip("netns", "add", name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
        _ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, (_HERE, _THERE), strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", name, "link", "set", device, "up")
        remote, desk = (Machine(name, home.environ) for name in names)
        yield remote, desk
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30, check=False)


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer) -> CodexHome:
    home = CodexHome(tmp_path, issuer.environ)
    home.configure(CONFIG.format(base_url="https://llm.example/v1"))
    return home


def test_the_browser_of_another_host_comes_back_through_the_forwarded_port(
    machines: tuple[Machine, Machine], issuer: Issuer, home: CodexHome
) -> None:
    """And by no other way: what waits for it listens on the loopback of its own host alone."""
    remote, desk = machines
    port = int(issuer.url.rpartition(":")[2])

    def internet() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=10)

    with contextlib.ExitStack() as stack:
        for machine in machines:
            stack.enter_context(forwarded(machine.listens(port), internet))
        signing_in = stack.enter_context(remote.starts(KEYFOB, "login", "corp", "--no-browser"))
        stack.callback(signing_in.kill)
        assert signing_in.stderr is not None
        told = iter(signing_in.stderr.readline, "")
        before = []
        for line in told:
            before.append(line)
            if line.strip().startswith(f"{issuer.url}/oauth/authorize?"):
                break
        address = before[-1].strip()

        assert desk.browses(address) == "ConnectionRefusedError\n"
        stack.enter_context(forwarded(remote.listens(PORT + 1, _HERE), internet))
        assert desk.browses(f"http://{_HERE}:{PORT + 1}/") == "404\n"  # the cable works
        assert desk.browses(f"http://{_HERE}:{PORT}/") == "ConnectionRefusedError\n"

        with forwarded(desk.listens(PORT), lambda: remote.connects(PORT)):
            page = desk.browses(address)
        assert page.startswith(f"http://127.0.0.1:{PORT}/signed-in ")
        assert "Signed in to ChatGPT" in page
        after = "".join(told)
        assert signing_in.wait(30) == 0

    assert f"ssh -L {PORT}:127.0.0.1:{PORT}" in "".join(before) + after
    stored = json.loads((home.folder / "auth.json").read_text())
    assert stored["tokens"]["account_id"] == "acct-1"
    assert [each.endpoint for each in issuer.asked if each.endpoint.startswith("token.")] == [
        "token.code",
        "token.exchange",
    ]
