"""What 100 installed plugins cost a command that needs none of them: the same commands in two environments.

Each of the plugins would take a second of CPU time to be imported, so one that is cannot be overlooked.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import measuring
from homes import KEY, Home, make_home
from host_ready import make_environment
from measuring import Row
from token_command import cpu, forget, output_of, process, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLUGINS = 100
PROVIDERS = 20
_BARE = "python -c 'import keyfob'"
# How many times as much as without them, each divided by what the bare interpreter comes to: it has a larger folder to
# look through when it imports. The first two read what is installed, the others do not.
_GOALS = {"keyfob token, cold": 1.05, "keyfob providers": 1.05, "keyfob token, warm": 1.02, "host ready, cold": 1.02}
_MODULE = "import time\n\nend = time.process_time() + 1\nwhile time.process_time() < end:\n    pass\n"
_COLD = """
import time
from keyfob import Host
start = time.process_time()
token = Host().provider("lab").credential().token
print(token, (time.process_time() - start) * 1000)
"""
_SCRIPT = "import sys\nfrom keyfob.cli import main\nsys.exit(main())\n"


def measure(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {count: _command(os.path.join(folder, str(count)), count) for count in (0, PLUGINS)}
        time.sleep(2.5)  # a snapshot is not written while what it is made of is younger than 2 s
        homes = {count: Homes.made(os.path.join(folder, f"homes-{count}")) for count in commands}
        listing = output_of([*commands[0], "providers"], homes[0].cold)
        variants = {
            (work, count): variant
            for count, command in commands.items()
            for work, variant in _variants(command, homes[count], listing).items()
        }
        taken = measuring.interleaved(variants, rounds)
    own = measuring.ratio(taken[_BARE, PLUGINS], taken[_BARE, 0])
    for work in (_BARE, *_GOALS):
        yield from _rows(work, taken[work, 0], taken[work, PLUGINS], own)


class Homes(NamedTuple):
    """Two configurations alike, one of which has a snapshot."""

    warm: Home
    cold: Home

    @classmethod
    def made(cls, folder: str) -> Homes:
        """Both, in that folder."""
        return cls(*(make_home(os.path.join(folder, name), PROVIDERS, 'env_key = "LAB_KEY"') for name in cls._fields))


def _command(folder: str, plugins: int) -> list[str]:
    """keyfob's command in an environment with so many plugins besides."""
    python = make_environment(folder, plugins, _MODULE)
    script = os.path.join(os.path.dirname(python), "keyfob")
    with open(script, "w", encoding="utf-8") as file:
        file.write(_SCRIPT)
    return [python, script]


def _variants(command: list[str], homes: Homes, listing: str) -> dict[str, Callable[[], float]]:
    token, timed = [*command, "token", "lab"], partial(process, time_of=cpu)
    write_snapshot(homes.warm, token)
    return {
        _BARE: timed([command[0], "-c", "import keyfob"], homes.warm, ""),
        "keyfob token, warm": timed(token, homes.warm, f"{KEY}\n"),
        "keyfob token, cold": timed(token, homes.cold, f"{KEY}\n", before=lambda: forget(homes.cold)),
        "keyfob providers": timed([*command, "providers"], homes.warm, listing),
        "host ready, cold": _in_process(command[0], homes.warm, _COLD),
    }


def _in_process(python: str, home: Home, code: str) -> Callable[[], float]:
    """Milliseconds of CPU time that the code says it took, in a fresh interpreter."""

    def run() -> float:
        token, took = output_of([python, "-c", code], home).split()
        measuring.expect("token", token, KEY)
        return float(took)

    return run


def _rows(work: str, without: list[float], having: list[float], own: float) -> Iterator[Row]:
    named = f"CPU time of {work}"
    yield Row(named, "no plugin installed", without, "ms")
    low, median, high = measuring.spread([one / other for one, other in zip(having, without, strict=True)])
    beside = f"{median:.3f} x (p10-p90 {low:.2f}-{high:.2f})"
    goal = measuring.goal(median / own, _GOALS[work], " x that of python") if work in _GOALS else ""
    yield Row(named, f"{PLUGINS} plugins installed", having, "ms", beside, goal)


if __name__ == "__main__":
    measuring.main(measure, rounds=60)
