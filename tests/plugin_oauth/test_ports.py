"""The port that the browser comes back to: asked for politely, and never taken from what is not ours."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from keyfob.errors import PortError, SignInError
from keyfob.plugin.oauth import ports
from keyfob.plugin.oauth.ports import listening

from .scene import PATIENCE, SignIn, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def held(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A port that another program has, and what that hears. answer: None says nothing, ever."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as connections:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = connections.enter_context(server.accept()[0])
                    heard.append(connection.recv(1000))
                    connection.sendall(answer or b"")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 404 Not Found\r\n\r\n", b"SSH-2.0-x\r\n"], ids=repr)
def test_what_is_not_ours_is_asked_once_and_left_alone(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the next port is taken, which is not asked for; and where there is none, each is named with its reason."""
    monkeypatch.setattr(ports, "_BETWEEN", 0.0)
    monkeypatch.setattr(ports, "_MANNERS", 0.05)
    with held(answer) as (first, heard), held(answer) as (second, unasked):
        with listening((first, second, 0), ask=True) as taken:
            host, third = taken.getsockname()
        assert host == "127.0.0.1"
        assert third not in (first, second)
        assert heard == [f"GET /cancel HTTP/1.1\r\nHost: 127.0.0.1:{first}\r\nConnection: close\r\n\r\n".encode()]
        with pytest.raises(PortError, match=f"on 127.0.0.1, {first} is in use and {second} is in use"):
            listening((first, second))
    assert len(heard) == 1
    assert not unasked


@pytest.mark.slow
def test_a_sign_in_that_was_left_behind_gives_way() -> None:
    """It ends and says why; the new one has its port."""
    stale = SignIn()
    stale.__enter__()
    with SignIn(wanted(ports=(stale.port, 0), ask=True)) as new:
        stale.join()
        assert new.port == stale.port
        page = new.browse(new.callback())
    assert "Signed in" in page.text
    assert isinstance(stale.error, SignInError)
    assert "another one on this machine asked for its port" in str(stale.error)
    assert new.error is None


def test_a_reserved_port_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows reserves ranges, and says so as EACCES: to ask and to wait is in vain."""
    reserved = 1455
    real = ports._listening_on

    def listening_on(port: int) -> socket.socket:
        if port == reserved:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(port)

    monkeypatch.setattr(ports, "_listening_on", listening_on)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    monkeypatch.setattr(ports, "_ask_to_give_up", lambda _: pytest.fail("it asks"))
    with listening((reserved, 0), ask=True) as taken:
        assert taken.getsockname()[1] != reserved
    with pytest.raises(PortError, match="1455 is reserved by the system"):
        listening((reserved,), ask=True)


def test_of_several_that_start_at_once_each_has_a_port_of_its_own() -> None:
    """Two are never bound to the same one, each thinking that the browser comes to it."""
    with contextlib.ExitStack() as stack:
        numbers = [stack.enter_context(listening((0,))).getsockname()[1] for _ in range(4)]
    barrier, taken = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        with contextlib.suppress(PortError):
            taken.append(listening(numbers))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(each.getsockname()[1] for each in taken)
    for each in taken:
        each.close()
    assert found
    assert found == sorted(set(found) & set(numbers))
