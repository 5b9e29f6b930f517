"""Renewals under way in one process: shared, not to be cancelled, finished before the program ends, left by a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from tests.credentials.worlds import World

from keyfob.clients.landing import landed
from keyfob.credentials.flights import Flights
from keyfob.credentials.renewals import Renewals
from keyfob.errors import LockedError, RefusedError, RenewalError
from keyfob.stores.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 20


class Gate:
    """An issuer that takes its time."""

    def __init__(self, world: World) -> None:
        self.begun, self._open = threading.Event(), threading.Event()
        world.issuer.answers = [self._slow]

    def _slow(self, _: str) -> None:
        self.begun.set()
        assert self._open.wait(PATIENCE)

    def open(self) -> None:
        assert self.begun.wait(PATIENCE)
        self._open.set()


class TestOne:
    def test_all_who_ask_for_the_same_share_it(self, world: World) -> None:
        """Also two renewals of one place, as two providers have that share a login."""
        gate, renewals, record = Gate(world), Renewals(), world.record
        futures = [renewals.start(world.renewal(), record, forced=False, wait=True) for _ in range(8)]
        assert len(set(map(id, futures))) == 1
        gate.open()
        assert futures[0].result(PATIENCE).token == "A2"
        assert renewals._under_way == {}

    @pytest.mark.parametrize("memory", [False, True])
    def test_never_are_two_of_one_record_under_way(self, world: World, *, memory: bool) -> None:
        """One for its expiry, one for a 401 and one that knows an older state come to one call."""
        if memory:
            world.store = MemoryStore()
            world.sign_in()
        old = world.record
        world.sign_in(access="A0")
        gate, renewals, record = Gate(world), Renewals(), world.record
        first = renewals.start(world.renewal(), record, forced=False, wait=True)
        assert gate.begun.wait(PATIENCE)
        others = [
            renewals.start(world.renewal(), record, forced=True, wait=True),
            renewals.start(world.renewal(), old, forced=False, wait=True),
        ]
        gate.open()
        assert {future.result(PATIENCE).token for future in (first, *others)} == {"A2"}
        assert world.issuer.presented == ["R1"]

    def test_who_does_not_want_to_wait_is_told_at_once(self, world: World) -> None:
        """Without a thread."""
        gate, renewals, record = Gate(world), Renewals(), world.record
        future = renewals.start(world.renewal(), record, forced=False, wait=True)
        assert gate.begun.wait(PATIENCE)
        with pytest.raises(LockedError, match="corp: this process is renewing the login already"):
            renewals.start(world.renewal(), record, forced=False, wait=False)
        gate.open()
        assert future.result(PATIENCE).token == "A2"
        assert renewals.start(world.renewal(), world.record, forced=False, wait=False).result(PATIENCE).token == "A2"

    def test_others_records_are_renewed_at_the_same_time(self, world: World, tmp_path: Path) -> None:
        """An issuer that hangs holds up its own logins alone."""
        (tmp_path / "other").mkdir()
        other, gate, renewals = World(tmp_path / "other"), Gate(world), Renewals()
        slow = renewals.start(world.renewal(), world.record, forced=False, wait=True)
        assert gate.begun.wait(PATIENCE)
        assert renewals.start(other.renewal(), other.record, forced=False, wait=False).result(PATIENCE).token == "A2"
        assert not slow.done()
        gate.open()
        slow.result(PATIENCE)

    def test_one_that_needs_itself_is_an_error(self, world: World) -> None:
        """It would wait for itself for ever."""
        source = world.source(Renewals().start)
        errors: list[BaseException] = []

        def nested(_: str) -> None:
            with pytest.raises(RenewalError, match="would need this very login") as caught:
                source.get()
            errors.append(caught.value)

        world.issuer.answers = [nested]
        assert source.get().token == "A2"
        assert len(errors) == 1

    def test_a_failure_is_shared_and_not_kept(self, world: World) -> None:
        """The next caller asks anew, and finds what was noted."""
        world.issuer.current = set()
        renewals, record = Renewals(), world.record
        for _ in range(2):
            future = renewals.start(world.renewal(), record, forced=False, wait=True)
            assert isinstance(future.exception(PATIENCE), RefusedError)
        assert world.issuer.presented == ["R1"]

    def test_if_no_thread_can_be_started_that_is_the_answer(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next caller may have more luck."""
        renewals, record = Renewals(), world.record

        def start(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            future = renewals.start(world.renewal(), record, forced=False, wait=True)
        with pytest.raises(RenewalError, match="corp: can't start new thread"):
            future.result(0)
        assert renewals.start(world.renewal(), record, forced=False, wait=True).result(PATIENCE).token == "A2"


class TestWaiters:
    def test_cancelling_a_waiter_changes_nothing(self, world: World) -> None:
        """For itself neither."""
        gate, renewals, record = Gate(world), Renewals(), world.record
        future = renewals.start(world.renewal(), record, forced=False, wait=True)
        assert not future.cancel()
        gate.open()
        assert future.result(PATIENCE).token == "A2"

    def test_tasks_of_two_event_loops_and_threads_wait_for_one_call(self, world: World) -> None:
        """On asyncio and trio; a third of the tasks are cancelled meanwhile."""
        crowd = Crowd(world)
        with ThreadPoolExecutor(Crowd.PARTIES) as pool:
            done = [pool.submit(asyncio.run, crowd.on_asyncio()), pool.submit(trio.run, crowd.on_trio)]
            done += [pool.submit(crowd.in_thread) for _ in range(Crowd.PARTIES - len(done))]
            for each in done:
                each.result(PATIENCE)
        assert crowd.got == ["A2"] * (20 + 20 + 9)
        assert world.issuer.presented == ["R1"]


class Crowd:
    """Tasks and threads that want the same; the issuer answers once all of them do, and some do not any more."""

    PARTIES = 11

    def __init__(self, world: World) -> None:
        self.got: list[str | None] = []
        self._flights = Flights(world.source(), "corp")
        self._barrier = threading.Barrier(self.PARTIES, action=Gate(world).open)

    async def _ask(self) -> None:
        self.got.append((await landed(self._flights.start())).token)

    async def on_asyncio(self) -> None:
        tasks = [asyncio.create_task(self._ask()) for _ in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        self._barrier.wait(PATIENCE)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def on_trio(self) -> None:
        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(10)]
            for scope in scopes:
                nursery.start_soon(self._cancellable, scope)
            for _ in range(20):
                nursery.start_soon(self._ask)
            await trio.testing.wait_all_tasks_blocked()
            for scope in scopes:
                scope.cancel()
            self._barrier.wait(PATIENCE)

    async def _cancellable(self, scope: trio.CancelScope) -> None:
        with scope:
            await self._ask()

    def in_thread(self) -> None:
        future = self._flights.start()
        self._barrier.wait(PATIENCE)
        self.got.append(future.result(PATIENCE).token)


PROGRAM = """
import os, pathlib, sys, threading, time, warnings
from tests.credentials.worlds import World
from keyfob.credentials.renewals import renewals

world = World(pathlib.Path(sys.argv[1]))
begun = threading.Event()

def slow(_):
    begun.set()
    time.sleep(0.3)

world.issuer.answers = [slow]
future = renewals.start(world.renewal(), world.record, forced=False, wait=True)
assert begun.wait(20)
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that begins a renewal, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program, str(folder)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=os.getcwd(),
    )


class TestProcess:
    @pytest.mark.slow
    def test_the_program_does_not_end_before_its_renewal(self, tmp_path: Path) -> None:
        """The secret is spent, and what came of it is on disk."""
        done = run("print(world.disk['refresh'])", tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "R1\n", "")
        assert '"refresh": "R2"' in (tmp_path / "auth.json").read_text()

    @pytest.mark.slow
    def test_nor_if_it_ends_by_an_error(self, tmp_path: Path) -> None:
        """Or by Ctrl-C, which is one."""
        assert run("raise SystemExit(3)", tmp_path).returncode == 3
        assert '"refresh": "R2"' in (tmp_path / "auth.json").read_text()

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_forked_child_forgets_it(self, tmp_path: Path) -> None:
        """It waits for its parent's lock as for any other's, and adopts what it finds; the parent is not disturbed."""
        program = """
warnings.simplefilter("ignore")  # from 3.12 on Python warns of a fork beside a thread, which is what is tried here
pid = os.fork()
if pid == 0:
    assert renewals._under_way == {}
    mine = renewals.start(world.renewal(), world.logins.read({**world.disk}), forced=False, wait=True)
    assert mine is not future
    assert mine.result(20).token == "A2", mine.result().token
    os._exit(7 if world.issuer.presented == ["R1"] else 8)  # what the parent had presented before
_, status = os.waitpid(pid, 0)
assert future.result(20).token == "A2"
print(os.waitstatus_to_exitcode(status), world.issuer.presented)
"""
        done = run(program, tmp_path)
        assert (done.stdout, done.stderr) == ("7 ['R1']\n", "")


def test_a_future_is_what_a_waiter_holds(world: World) -> None:
    """Sync and async waiters alike."""
    future: Any = Renewals().start(world.renewal(), world.record, forced=False, wait=True)
    assert isinstance(future, Future)
    assert future.result(PATIENCE).token == "A2"
