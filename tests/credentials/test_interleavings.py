"""Renewals of several processes and a program that takes no lock, a step of one and a step of another, in any order.

Each change of the store, each request and each answer is a step; at any step a process may be killed.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.credentials.worlds import LIFE, World

from keyfob.credentials.exchange import Answer, Exchange, UnansweredError
from keyfob.errors import KeyfobError, LockedError, LostRenewalError, RefusedError
from keyfob.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 20


class Killed(BaseException):
    """The process is gone."""


class Actor(threading.Thread):
    """One process, which stands still until it is its turn. ready: whether it could go on."""

    def __init__(self, turns: Turns, act: Callable[[], None], *, mortal: bool) -> None:
        super().__init__(daemon=True)
        self._turns, self._act, self.mortal = turns, act, mortal
        self.go = threading.Semaphore(0)
        self.ready: Callable[[], bool] = lambda: True
        self.ended = self.killed = self.holds_answer = False
        self.broke: BaseException | None = None

    def run(self) -> None:
        self.go.acquire(timeout=PATIENCE)
        try:
            self._act()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  # it is raised by the test
            self.broke = error
        self.ended = True
        self._turns.back.release()


class Turns:
    """Gives one actor after another a step, as `chance` has it; kills up to so many."""

    def __init__(self, chance: random.Random, kills: int) -> None:
        self.chance, self.kills = chance, kills
        self.back = threading.Semaphore(0)
        self.actors: list[Actor] = []
        self.alone = True

    def add(self, act: Callable[[], None], *, mortal: bool = False) -> None:
        self.actors.append(Actor(self, act, mortal=mortal))

    @property
    def actor(self) -> Actor:
        """Whose turn it is."""
        found = threading.current_thread()
        assert isinstance(found, Actor)
        return found

    def step(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Let others go first, and be killed perhaps. What is done by nobody's process is done at once."""
        if self.alone:
            return
        actor = self.actor
        actor.ready = ready
        self.back.release()
        assert actor.go.acquire(timeout=PATIENCE)
        if actor.killed:
            raise Killed

    def run(self) -> None:
        """Until all have ended."""
        self.alone = False
        for actor in self.actors:
            actor.start()
        while left := [actor for actor in self.actors if not actor.ended]:
            actor = self.chance.choice([each for each in left if each.ready()])
            if self.kills and actor.mortal and self.chance.random() < 0.04:
                self.kills -= 1
                actor.killed = True
            actor.go.release()
            assert self.back.acquire(timeout=PATIENCE)
        self.alone = True
        for actor in self.actors:
            actor.join(PATIENCE)
            if actor.broke:
                raise actor.broke


def stepwise(name: str) -> Any:
    """A method of the store that is a step."""

    def method(self: StepStore, *arguments: Any) -> Any:
        self.turns.step()
        return getattr(MemoryStore, name)(self, *arguments)

    return method


class StepStore(MemoryStore):
    """A store whose every use is a step, and whose locks a killed process lets go, as the kernel does."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns
        self._taken: set[str] = set()

    read, write, prepare = stepwise("read"), stepwise("write"), stepwise("prepare")
    journal, note, clear = stepwise("journal"), stepwise("note"), stepwise("clear")
    stage, drop_stage = stepwise("stage"), stepwise("drop_stage")

    def put_stage(self, stage: Any) -> None:
        self.turns.step()
        super().put_stage(stage)
        if not self.turns.alone:
            self.turns.actor.holds_answer = False

    def lock(self, *, wait: float | None = None) -> contextlib.AbstractContextManager[None]:
        return self._locked("keyfob", wait=wait is None)

    def writing(self) -> contextlib.AbstractContextManager[None]:
        return self._locked("codex", wait=True)

    @contextlib.contextmanager
    def _locked(self, name: str, *, wait: bool) -> Iterator[None]:
        self.turns.step(lambda: not wait or name not in self._taken)
        if name in self._taken:
            raise LockedError("held")
        self._taken.add(name)
        try:
            yield
        finally:
            self._taken.discard(name)


@dataclass
class Seen:
    """What was presented, and how each presentation ended: `new`, `lost`, `unheard`, `busy` or `refused`."""

    by_keyfob: list[tuple[str, str]] = field(default_factory=list)
    by_codex: list[str] = field(default_factory=list)


class Scene:
    """Three processes of keyfob's and one of Codex's, with one login; time passes, answers get lost."""

    def __init__(self, folder: Path, seed: int, *, revokes: bool, codex: bool, kills: int, faults: bool) -> None:
        self.chance = random.Random(seed)
        self.turns = Turns(self.chance, kills)
        self.world = World(folder, revokes=revokes, store=StepStore(self.turns))
        self.send = self.world.issuer.send
        self.world.issuer.send = self.sent  # type: ignore[method-assign]
        self.world.meanwhile = self.turns.step
        self.faults = faults
        self.seen = Seen()
        self.errors: list[KeyfobError] = []
        for _ in range(3):
            self.turns.add(self.keyfob, mortal=True)
        for _ in range(codex):
            self.turns.add(self.codex)
        self.turns.add(self.time)
        self.turns.run()

    def keyfob(self) -> None:
        for _ in range(2):
            try:
                self.world.renewed(forced=self.chance.random() < 0.3)
            except KeyfobError as error:
                self.errors.append(error)
            self.turns.step()

    def codex(self) -> None:
        """It asks first, and takes locks only to write; what is on disk then counts."""
        store, before = self.world.store, self.world.disk
        self.turns.step()
        self.seen.by_codex.append(before["refresh"])
        answer = self.world.issuer.renewed(before["refresh"])
        self.turns.step()
        if answer.ok:
            with store.writing():
                now = self.world.disk
                if now["refresh"] == before["refresh"]:
                    store.write({**now, **answer.document()})

    def time(self) -> None:
        for _ in range(3):
            self.turns.step()
            self.world.now += self.chance.choice([5.0, 700.0, LIFE])

    def sent(self, exchange: Exchange) -> Answer:
        """What becomes of keyfob's request."""
        self.turns.step()
        happens = self.chance.choice(["new"] * 6 + ["lost", "unheard", "busy"]) if self.faults else "new"
        if happens in ("unheard", "busy"):
            return self.ended(exchange, happens, Answer(503, b""))
        answer = self.send(exchange)
        return self.ended(exchange, happens if answer.ok else "refused", answer)

    def ended(self, exchange: Exchange, how: str, answer: Answer) -> Answer:
        self.seen.by_keyfob.append((json.loads(exchange.body)[0], how))
        self.turns.actor.holds_answer = answer.ok and how == "new"
        self.turns.step()
        if how in ("lost", "unheard"):
            raise UnansweredError("reset")
        return answer

    @property
    def excused(self) -> bool:
        """Whether this is one of the cases in which a login may be lost.

        A secret that Codex presented too; an answer that got lost, or was in the hands of a process that was killed; or
        two attempts of which nobody knows how they ended.
        """
        both = {token for token, _ in self.seen.by_keyfob} & set(self.seen.by_codex)
        ends = Counter(how for _, how in self.seen.by_keyfob)
        killed = [actor.holds_answer for actor in self.turns.actors if actor.killed]
        return bool(both or ends["lost"]) or any(killed) or ends["unheard"] + len(killed) > 1

    def check(self) -> None:
        """What has to hold at the end, whatever happened."""
        times = Counter(token for token, how in self.seen.by_keyfob if how != "busy")
        again = [token for token, count in times.items() if count > 1]
        assert all(count <= 2 for count in times.values()), self.seen
        broken = [token for token, how in self.seen.by_keyfob if how in ("lost", "unheard")]
        assert len(set(again) - set(broken)) <= sum(actor.killed for actor in self.turns.actors), self.seen
        for number, (token, how) in enumerate(self.seen.by_keyfob):
            after = [each for each, _ in self.seen.by_keyfob[number + 1 :]]
            assert how != "refused" or token not in after or self.killed, self.seen
        assert self.world.disk["note"] == "kept"
        self.check_login()

    @property
    def killed(self) -> bool:
        return any(actor.killed for actor in self.turns.actors)

    def check_login(self) -> None:
        """It can still be renewed; or it is one of the cases in which it may be lost, and that is said."""
        self.world.issuer.send = self.send  # type: ignore[method-assign]
        self.world.now += 2 * LIFE
        before = self.world.record
        try:
            renewed = self.world.renewed()
        except (LostRenewalError, RefusedError):
            assert self.excused, self.seen
        else:
            assert renewed.token != before.token
            assert self.world.disk["refresh"] in self.world.issuer.current


def check(folder: Path, seed: int, **options: bool | int) -> None:
    scene = Scene(folder, seed, **options)  # type: ignore[arg-type]
    scene.check()
    if not options["codex"] and not options["kills"] and not options["faults"]:
        assert all("already expired" in str(error) for error in scene.errors)  # time passed while it was under way
        assert not scene.excused


options = st.fixed_dictionaries(
    {"revokes": st.booleans(), "codex": st.booleans(), "kills": st.integers(0, 2), "faults": st.booleans()}
)
seeds = st.integers(0, 2**64)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seeds, options)
@example(0, {"revokes": True, "codex": False, "kills": 0, "faults": False})
def test_in_whatever_order_no_login_is_lost_that_need_not_be(
    tmp_path_factory: pytest.TempPathFactory, seed: int, options: dict[str, Any]
) -> None:
    """No secret is presented a second time but where the answer to the first was lost, and none a third time."""
    check(tmp_path_factory.getbasetemp(), seed, **options)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(seeds, options)
def test_the_same_in_many_more_orders(
    tmp_path_factory: pytest.TempPathFactory, seed: int, options: dict[str, Any]
) -> None:
    """For rare ones."""
    check(tmp_path_factory.getbasetemp(), seed, **options)
