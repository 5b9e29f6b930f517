"""Many processes, threads and event loops with one expired login: one of them renews it, once, and no request fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import pytest

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import ModelServer

from .lab import PATIENCE, Signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MANY = os.path.join(os.path.dirname(__file__), "many.py")
KEYFOB = os.path.join(os.path.dirname(sys.executable), "keyfob")
PROCESSES, THREADS, TASKS, ROUNDS = 8, 8, 4, 20


class Process:
    """`many.py`, for `with`."""

    def __init__(self, home: Signed) -> None:
        self._home = home

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        command, environ = [sys.executable, MANY], self._home.environ
        self._process = subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def start(self, **options: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"home": str(self._home.folder), **options}) + "\n")
        self._process.stdin.flush()

    def outcomes(self) -> list[str]:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(reuse="revoke") as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer) -> Iterator[Signed]:
    """An expired login for a model server that takes the renewed token and no other."""
    with ModelServer(accepts=lambda request: request.header("authorization") == f"Bearer {valid()}") as server:
        home = Signed(tmp_path, issuer, base_url=server.base_url)
        valid: Callable[[], str] = lambda: home.tokens["access_token"]  # noqa: E731
        yield home


@pytest.mark.parametrize("fork", [False, True], ids=["", "fork"])
def test_one_call_for_all(home: Signed, issuer: Issuer, fork: bool) -> None:
    """Each round has a new expired login, one call to the issuer, and as many answers as requests.

    The first round forks in no case: a child that is forked while another thread imports a module can never import it,
    whatever that module is (CPython's import locks).
    """
    rounds = 6 if fork else ROUNDS
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(home)) for _ in range(PROCESSES)]
        for number in range(1, rounds + 1):
            home.sign_in()
            forks = fork and number > 1
            requests = THREADS + 2 * TASKS + (2 + 2 * 2 if forks else 0)
            for process in processes:
                process.start(threads=THREADS, tasks=TASKS, cancelled=2, fork=forks)
            for process in processes:
                outcomes = process.outcomes()
                # One that is cancelled may have had its answer already.
                assert outcomes.count("ok") == len(outcomes), outcomes
                assert requests <= len(outcomes) <= requests + 4
            assert home.presented == [home.first]
            assert issuer.renewals == number
            assert home.alive


@pytest.fixture(params=["stopped", "hung"])
def stuck(request, home: Signed, issuer: Issuer) -> Iterator[Callable[[], int]]:
    """Have a process stop while it renews, or its issuer not answer; returns its id. Afterwards all goes on."""
    reached, go_on = threading.Event(), threading.Event()
    held: list[int] = []

    def answered(_: Issuer, fields: dict[str, Any]) -> tuple[int, Any]:
        with open(f"{home.path}.keyfob.lock") as file:
            held.append(int(file.read().split()[1]))
        if request.param == "stopped":
            os.kill(held[0], signal.SIGSTOP)
        reached.set()
        if request.param == "hung":
            go_on.wait(PATIENCE)
        return issuer.renewed(fields)

    def begin() -> int:
        issuer.answers.append(answered)
        first.start(threads=1, tasks=0)
        assert reached.wait(PATIENCE)
        return held[0]

    with Process(home) as first:
        yield begin
        go_on.set()
        if request.param == "stopped":
            os.kill(held[0], signal.SIGCONT)
        assert first.outcomes() == ["ok"]
    # It has ended, and so has the renewal, which who still has a valid credential does not wait for.
    assert home.presented == [home.first]
    assert home.alive


class TestStuck:
    """deadline: of the lock, in seconds, where a test is not to wait for a minute."""

    def test_expired(self, home: Signed, stuck: Callable[[], int]) -> None:
        """Past the deadline, those who wait are told who holds the lock; nobody takes it from him."""
        holder = stuck()
        with Process(home) as other:
            other.start(threads=3, tasks=1, deadline=0.3)
            (said,) = set(other.outcomes())
        assert said == f"locked: {home.path}.keyfob.lock is held by process {holder}"

    def test_still_valid(self, home: Signed, stuck: Callable[[], int]) -> None:
        """While the old credential is valid, nobody waits for a renewal that does not end."""
        home.sign_in(expires_in=120)
        stuck()
        with Process(home) as other:
            other.start(threads=3, tasks=1)
            assert other.outcomes() == ["ok"] * 5


def test_everybody_leaves(home: Signed, issuer: Issuer) -> None:
    """A renewal that all who waited for it have left is finished, and the next has its credential."""
    issuer.delay = 0.2
    with Process(home) as process:
        process.start(threads=0, tasks=0)
        assert process.outcomes() == []
        process.start(threads=0, tasks=1, cancelled=5)
        assert process.outcomes()[:2] == ["ok"] * 2
    assert home.presented == [home.first]


class TestCommands:
    """`keyfob token`, as a program that kills its token command uses it."""

    def token(self, home: Signed, *before: str) -> subprocess.Popen[str]:
        command = [*before, KEYFOB, "token", "lab"]
        return subprocess.Popen(
            command, env=home.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    @pytest.mark.parametrize("whom", ["command", "group"])
    def test_killed_at_any_moment(self, tmp_path: Path, issuer: Issuer, whom: str) -> None:
        """Whenever it is killed, alone or with all that it might have started, the secret is presented once."""
        issuer.delay = 0.05

        def case(number: int) -> bool:
            home = Signed(tmp_path, issuer)
            killed = self.token(home)
            time.sleep(number * 0.06)
            (os.kill if whom == "command" else os.killpg)(killed.pid, signal.SIGKILL)
            killed.communicate(timeout=PATIENCE)
            said, problem = self.token(home).communicate(timeout=PATIENCE)
            assert said.strip() == home.tokens["access_token"], problem
            assert home.alive
            return home.presented == [home.first]

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(case, range(12)))

    @pytest.mark.skipif(not shutil.which("faketime"), reason="needs faketime")
    @pytest.mark.parametrize("offset", ["+1h", "-1h"])
    @pytest.mark.parametrize("lifetime", [1800, 7200])
    def test_clock_off(self, tmp_path: Path, issuer: Issuer, offset: str, lifetime: float) -> None:
        """With a clock that is an hour off, a login is renewed once and used, also where it seems to have expired."""
        issuer.lifetime = lifetime
        home = Signed(tmp_path, issuer, expires_in=-7200)
        for _ in range(3):
            said, problem = self.token(home, "faketime", "-f", offset).communicate(timeout=PATIENCE)
            assert said.strip() == home.tokens["access_token"], problem
        assert home.presented == [home.first]
