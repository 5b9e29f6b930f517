"""Waiting for a credential: once for everybody, on threads and event loops alike, and nobody's leaving stops it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

from keyfob.clients.landing import landed
from keyfob.credentials.credential import Credential
from keyfob.credentials.minting import MintingSource
from keyfob.errors import CredentialError, KeyfobError
from keyfob.testing.model_server import ModelServer

from .ways import ASYNC, SYNC, TRIO, Way, signing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = 40
PATIENCE = 20


class Mint:
    """Mints `token-n`, each only when the gate is open; counts, and says when one has begun."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.count = 0
        self.failure = failure
        self.source = MintingSource(self, clock=time.time)
        self.threads: list[threading.Thread] = []

    def __call__(self) -> Credential:
        self.threads.append(threading.current_thread())
        self.count += 1
        number = self.count
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return Credential.bearer(f"token-{number}")


@contextmanager
def no_thread_left() -> Iterator[None]:
    """Every thread that was started within has ended, soon after."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("way", SYNC, ids=str)
class TestThreads:
    @pytest.mark.slow
    def test_forty_threads_one_mint(self, way: Way) -> None:
        """All of them send what it returned."""
        mint, wire = Mint(), way.wire()
        client = way.ours.Client(signing(mint.source), transport=wire)
        with no_thread_left(), client, ThreadPoolExecutor(MANY) as pool:
            sent = [pool.submit(client.get, "models") for _ in range(MANY)]
            assert mint.begun.wait(PATIENCE)
            mint.gate.set()
            assert {each.result().status_code for each in sent} == {200}
        assert mint.count == 1
        assert {each.headers["Authorization"] for each in wire.sent} == {"Bearer token-1"}

    @pytest.mark.slow
    def test_forty_threads_refused_at_once_one_renewal(self, way: Way) -> None:
        """Each tells of the same refused credential."""
        mint = Mint()
        mint.gate.set()
        everybody = threading.Barrier(MANY)

        def answer(request: Any) -> int:
            if request.headers["Authorization"] == "Bearer token-1":
                everybody.wait(PATIENCE)
                return 401
            return 200

        client = way.ours.Client(signing(mint.source), transport=way.wire(answer))
        with no_thread_left(), client, ThreadPoolExecutor(MANY) as pool:
            assert {each.status_code for each in pool.map(client.get, ["models"] * MANY)} == {200}
        assert mint.count == 2

    def test_a_failure_is_shared_and_not_kept(self, way: Way) -> None:
        """Who waited for it gets it; who comes later starts anew."""
        mint, wire = Mint(CredentialError("the issuer is down")), way.wire()
        provider = signing(mint.source)
        with no_thread_left(), way.ours.Client(provider, transport=wire) as client, ThreadPoolExecutor(4) as pool:
            first = pool.submit(client.get, "models")
            assert mint.begun.wait(PATIENCE)
            others = [provider.start() for _ in range(3)]
            mint.gate.set()
            for each in (first, *others):
                assert isinstance(each.exception(PATIENCE), CredentialError)
            assert mint.count == 1
            mint.failure = None
            assert client.get("models").status_code == 200
        assert len(wire.sent) == 1


async def gather(count: int, function: Callable[[], Any]) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(function)


@pytest.mark.parametrize("way", [*ASYNC, *TRIO], ids=str)
class TestTasks:
    def test_forty_tasks_one_mint(self, way: Way) -> None:
        """In a thread of its own, which ends; the event loop runs on meanwhile."""
        mint, wire = Mint(), way.wire()

        async def main() -> None:
            async with way.ours.AsyncClient(signing(mint.source), transport=wire) as client:

                async def open_gate() -> None:
                    while not mint.begun.is_set():
                        await anyio.sleep(0.001)
                    mint.gate.set()

                async with anyio.create_task_group() as group:
                    group.start_soon(open_gate)
                    for _ in range(MANY):
                        group.start_soon(client.get, "models")

        with no_thread_left():
            anyio.run(main, backend=way.backend or "")
        assert mint.count == 1
        assert mint.threads[0] is not threading.current_thread()
        assert [each.headers["Authorization"] for each in wire.sent] == ["Bearer token-1"] * MANY

    def test_one_that_is_at_hand_is_not_waited_for(self, way: Way) -> None:
        """Then there is no thread, and no lock."""
        mint = Mint()
        mint.gate.set()
        mint.source.get()
        mint.source._lock.acquire()

        async def main() -> None:
            async with way.ours.AsyncClient(signing(mint.source), transport=way.wire()) as client:
                before = threading.active_count()
                await client.get("models")
                assert threading.active_count() == before

        anyio.run(main, backend=way.backend or "")

    def test_who_is_cancelled_leaves_the_others_waiting(self, way: Way) -> None:
        """The fetch goes on, for them and for the next."""
        mint, wire = Mint(), way.wire()
        results: list[int] = []

        async def main() -> None:
            async with way.ours.AsyncClient(signing(mint.source), transport=wire) as client:

                async def ask() -> None:
                    results.append((await client.get("models")).status_code)

                async with anyio.create_task_group() as group:
                    group.start_soon(ask)
                    with anyio.move_on_after(0.05) as scope:
                        await client.get("models")
                    assert scope.cancelled_caught
                    mint.gate.set()
                await ask()

        with no_thread_left():
            anyio.run(main, backend=way.backend or "")
        assert results == [200, 200]
        assert mint.count == 1
        assert len(wire.sent) == 2

    @pytest.mark.slow
    def test_who_is_cancelled_after_a_401_closes_it(self, way: Way) -> None:
        """While the renewal it waited for goes on."""
        mint, wire = Mint(), way.wire(lambda request: 401)

        async def main() -> None:
            async with way.ours.AsyncClient(signing(mint.source), transport=wire) as client:
                with anyio.move_on_after(0.1) as scope:
                    await client.get("models")
                assert scope.cancelled_caught
                assert wire.open == 0
                assert len(wire.sent) == 1
                mint.gate.set()

        mint.gate.set()
        mint.source.get()
        mint.gate.clear()
        with no_thread_left():
            anyio.run(main, backend=way.backend or "")
        assert mint.count == 2

    def test_a_failure_reaches_every_task(self, way: Way) -> None:
        """As an error of ours."""
        mint = Mint(CredentialError("the issuer is down"))
        mint.gate.set()
        failures: list[str] = []

        async def main() -> None:
            async with way.ours.AsyncClient(signing(mint.source), transport=way.wire()) as client:

                async def ask() -> None:
                    try:
                        await client.get("models")
                    except KeyfobError as error:
                        failures.append(str(error))

                await gather(MANY, ask)

        with no_thread_left():
            anyio.run(main, backend=way.backend or "")
        assert failures == ["the issuer is down"] * MANY


class TestLoops:
    @pytest.mark.slow
    def test_event_loops_of_both_kinds_and_threads_share_one_mint(self) -> None:
        """Two of asyncio, one of trio, and a thread, on one provider."""
        mint = Mint()
        provider = signing(mint.source)
        got: list[str | None] = []

        async def wait() -> None:
            got.append((provider.peek() or await landed(provider.start())).token)

        with no_thread_left(), ThreadPoolExecutor(4) as pool:
            runs = [
                pool.submit(asyncio.run, wait()),
                pool.submit(asyncio.run, wait()),
                pool.submit(trio.run, wait),
                pool.submit(lambda: got.append(provider.get().token)),
            ]
            assert mint.begun.wait(PATIENCE)
            time.sleep(0.05)
            mint.gate.set()
            for run in runs:
                run.result(PATIENCE)
        assert got == ["token-1"] * 4
        assert mint.count == 1

    @pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
    def test_a_loop_that_has_ended_is_not_waited_for(self, run: Any, caplog: pytest.LogCaptureFixture) -> None:
        """The thread that wakes its waiters ends, wakes those of other loops, and complains of nothing."""
        mint = Mint()
        provider = signing(mint.source)

        async def give_up() -> None:
            with anyio.move_on_after(0.02):
                await landed(provider.start())

        with no_thread_left():
            run(give_up() if run is asyncio.run else give_up)
            other = provider.start()
            mint.gate.set()
            assert other.result(PATIENCE).token == "token-1"
        assert caplog.records == []

    def test_a_loop_that_is_blocked_holds_nobody_up(self) -> None:
        """Waiters of other loops, and threads, are woken while it is."""
        mint = Mint()
        provider = signing(mint.source)
        blocked, release = threading.Event(), threading.Event()

        async def block() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(landed, provider.start())
                await anyio.sleep(0.02)
                blocked.set()
                assert release.wait(PATIENCE)  # blocks the event loop

        async def wait() -> str | None:
            return (await landed(provider.start())).token

        with no_thread_left(), ThreadPoolExecutor(2) as pool:
            first = pool.submit(asyncio.run, block())
            assert blocked.wait(PATIENCE)
            second = pool.submit(asyncio.run, wait())
            mint.gate.set()
            assert second.result(PATIENCE) == "token-1"
            release.set()
            first.result(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("way", [*SYNC, *ASYNC], ids=str)
def test_closing_leaves_nothing_behind(way: Way) -> None:
    """No thread and no open socket, also when answers were not read."""
    with ModelServer() as server, no_thread_left():
        with way.client(signing(base_url=server.base_url)) as client:
            client.send(client.client.build_request("GET", "models"), stream=True)
            client.post("responses", json={"stream": True})
        gc.collect()  # a socket that was left open would warn here


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("rejecting", [False, True])
def test_a_child_forked_while_a_mint_is_under_way_mints_by_itself(rejecting: bool) -> None:
    """It neither waits for a thread that only its parent has, nor finds a lock that nobody will open."""
    mint = Mint()
    provider = signing(mint.source)
    rejected = None
    if rejecting:
        mint.gate.set()
        rejected = provider.get()
        mint.gate.clear()
        mint.begun.clear()
    flight = provider.start(rejected)
    assert mint.begun.wait(PATIENCE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mint.gate = threading.Event()
            mint.gate.set()
            threading.Timer(PATIENCE, os._exit, (1,)).start()
            os.write(writing, str(provider.get(rejected).token).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().decode() == f"token-{mint.count + 1}"
    os.waitpid(child, 0)
    mint.gate.set()
    assert flight.result(PATIENCE).token == f"token-{mint.count}"
    assert provider.peek() is flight.result()
