"""A process that renews may be killed before any of its system calls: the next one finds what renewal.md says."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from keyfob.testing.issuer import Issuer

from .lab import Point, Program, Signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"),
]

# Whatever changes a file, or has to do with the issuer.
CHANGING = ("openat", "fallocate", "write", "ftruncate", "fsync", "rename", "unlink")
SENDING = ("socket", "connect", "sendto", "recvfrom")
AT_ONCE = 4


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Refuses a token that was spent, and keeps its family: what a process lost is then told from what it spoilt."""
    with Issuer(reuse="refuse") as running:
        yield running


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("crashes")


@pytest.fixture(scope="module")
def programs(issuer: Issuer, root: Path) -> Iterator[SimpleQueue[Program]]:
    """Some programs, each for one test case at a time."""
    idle: SimpleQueue[Program] = SimpleQueue()
    started = [Program(Signed(root, issuer)).__enter__() for _ in range(AT_ONCE)]
    for program in started:
        idle.put(program)
    yield idle
    for program in started:
        program.__exit__()


def each(programs: SimpleQueue[Program], points: list[Point], case: Callable[[Program, Point], str]) -> Counter[str]:
    """Try every point, several at once; how often each row of the table was met."""

    def tried(point: Point) -> str:
        program = programs.get()
        try:
            return case(program, point)
        except BaseException as error:
            error.add_note(str(point))
            raise
        finally:
            programs.put(program)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(tried, points))


def at(home: Signed, point: Point) -> Point:
    """The point for this home: its path is given within it."""
    return point if point.path is None else replace(point, path=str(home.folder / point.path))


def check_start(program: Program, home: Signed) -> str:
    """Start again, compare with the table, and again: nothing more happens then. The row, and what came of it."""
    row, before = home.row, len(home.presented)
    got = program.run(home)
    calls = len(home.presented) - before
    works = "token" in got
    expected = {"no intent": (0, 1), "not sent": (1,), "sent once": (1,)}
    assert calls in expected.get(row, (0,)), (row, calls)
    if works:
        assert home.alive, row
        assert got["token"] == home.tokens["access_token"]
        assert home.first != home.tokens["refresh_token"]
    else:
        assert row in ("sent once", "sent twice"), row
        assert got["error"] == "renewal-interrupted", got
        assert "was interrupted at 20" in got["message"]
        assert got["hint"] == "keyfob login lab"
    assert home.presented.count(home.first) <= (2 if row.startswith("sent") else 1)
    total = len(home.presented)
    assert program.run(home) == got
    assert len(home.presented) == total
    names = {each.name.removeprefix("auth.json") for each in home.folder.glob("auth.json*")}
    assert names == {"", ".lock", ".keyfob.lock", ".keyfob.journal"} or not works, names
    return f"{row}: {'works' if works else 'lost'}"


def test_first_attempt(programs: SimpleQueue[Program], issuer: Issuer, root: Path) -> None:
    """Killed anywhere in a renewal, a login works at the next start, unless its answer was on the way just then."""
    program = programs.get()
    points = program.points(Signed(root, issuer), root, CHANGING + SENDING)
    programs.put(program)

    def case(program: Program, point: Point) -> str:
        home = Signed(root, issuer)
        program.killed(home, at(home, point))
        return check_start(program, home)

    met = each(programs, points, case)
    assert len(points) >= 40
    assert set(met) == {
        "no intent: works",
        "not sent: works",
        "sent once: works",
        "sent once: lost",
        "stage of the disk's: works",
        "not the intent's: works",
    }


def test_second_attempt(programs: SimpleQueue[Program], issuer: Issuer, root: Path) -> None:
    """Killed once more, after it was presented again, a secret is not presented a third time."""
    connecting = Point("connect", 1)
    program = programs.get()
    first = Signed(root, issuer)
    program.killed(first, connecting)
    assert first.row == "sent once"
    points = program.points(first, root, CHANGING + SENDING)
    programs.put(program)

    def case(program: Program, point: Point) -> str:
        home = Signed(root, issuer)
        program.killed(home, connecting)
        program.killed(home, at(home, point))
        return check_start(program, home)

    met = each(programs, points, case)
    assert set(met) == {
        "sent once: works",  # killed before the second attempt was noted
        "sent twice: lost",
        "stage of the disk's: works",
        "not the intent's: works",
        "no intent: works",
    }
