"""`keyfob token lab` as a whole process, for a variable and for a login, beside a bare interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from typing import TYPE_CHECKING

import measuring
from homes import KEY, Home, make_home, write_key, write_login
from measuring import Row

from keyfob.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORK = "print a token, whole process"
PROVIDERS = 20
_SNAPSHOT_PATIENCE_S = 30.0
# How many times as long as the bare interpreter each may take.
_GOALS = {
    "keyfob token, warm": 1.3,
    "keyfob token, ChatGPT login in a file": 2.0,
    "keyfob token, API key in a file": 2.0,
    "keyfob token, stored key of another provider": 2.0,
}
_KEYFOB = [os.path.join(sysconfig.get_path("scripts"), "keyfob"), "token", "lab"]
_NAIVE = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "naive_cli.py"), "token", "lab"]


def measure(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        warm = make_home(os.path.join(folder, "warm"), PROVIDERS, 'env_key = "LAB_KEY"')
        cold = make_home(os.path.join(folder, "cold"), PROVIDERS, 'env_key = "LAB_KEY"')
        write_snapshot(warm, _KEYFOB)
        variants = {**_variants(warm, cold), **_of_logins(folder)}
        taken = measuring.interleaved(variants, rounds)
    bare = taken["python -I -c pass"]
    for name, figures in taken.items():
        times = measuring.ratio(figures, bare)
        goal = measuring.goal(times, _GOALS[name], " x") if name in _GOALS else ""
        yield Row(WORK, name, figures, "ms", "" if figures is bare else f"{times:.2f} x bare", goal)


def _variants(warm: Home, cold: Home) -> dict[str, Callable[[], float]]:
    bare = [sys.executable, "-I", "-c", "pass"]
    variants = {
        "python -I -c pass": process(bare, warm, ""),
        "keyfob token, warm": process(_KEYFOB, warm, f"{KEY}\n"),
        "keyfob token, cold: no snapshot": process(_KEYFOB, cold, f"{KEY}\n", before=lambda: forget(cold)),
    }
    if measuring.version("click", "pluggy"):
        variants["click, tomllib, pydantic, pluggy (naive_cli.py)"] = process(_NAIVE, warm, f"{KEY}\n")
    if version := measuring.version("openai"):
        variants[f"import openai {version}, nothing else"] = process([*bare[:3], "import openai"], warm, "")
    return variants


def _of_logins(folder: str) -> dict[str, Callable[[], float]]:
    """A ChatGPT login that is good for an hour, and an API key, each in auth.json; and a key of another provider's."""
    chatgpt, api_key = (
        make_home(os.path.join(folder, name), PROVIDERS, "requires_openai_auth = true") for name in ("chatgpt", "key")
    )
    with Issuer() as issuer:
        token = write_login(chatgpt, issuer.login())["tokens"]["access_token"]
    write_login(api_key, {"auth_mode": "apikey", "OPENAI_API_KEY": KEY})
    other = make_home(os.path.join(folder, "other"), PROVIDERS, 'env_key = "UNSET_KEY"')
    write_key(other)
    for home in (chatgpt, api_key, other):
        write_snapshot(home, _KEYFOB)
    return {
        "keyfob token, ChatGPT login in a file": process(_KEYFOB, chatgpt, f"{token}\n"),
        "keyfob token, API key in a file": process(_KEYFOB, api_key, f"{KEY}\n"),
        "keyfob token, stored key of another provider": process(_KEYFOB, other, f"{KEY}\n"),
    }


def process(
    command: list[str],
    home: Home,
    output: str,
    before: Callable[[], object] = lambda: None,
    time_of: Callable[[list[str], dict[str, str]], float] | None = None,
) -> Callable[[], float]:
    """Runs a command, timed, its output thrown away; it has been seen to be right before.

    `before` runs ahead of each, untimed. time_of: the time that is taken, by default `wall`.
    """
    before()
    measuring.expect(" ".join(command), output_of(command, home), output)

    def run() -> float:
        before()
        return (time_of or wall)(command, home.environ)

    return run


def wall(command: list[str], environ: dict[str, str]) -> float:
    """Milliseconds from before the process is made until it has ended; `subprocess` would add a few of its own."""
    return _times(command, environ)[0]


def cpu(command: list[str], environ: dict[str, str]) -> float:
    """Milliseconds of CPU time that the process took."""
    return _times(command, environ)[1]


def _times(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    to_nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter()
    process = os.posix_spawn(command[0], command, environ, file_actions=to_nowhere)
    _, status, used = os.wait4(process, 0)
    took = (time.perf_counter() - start) * 1000
    measuring.expect(f"exit code of {command}", os.waitstatus_to_exitcode(status), 0)
    return took, (used.ru_utime + used.ru_stime) * 1000


def output_of(command: list[str], home: Home) -> str:
    """What it prints to stdout, where it ends well."""
    return subprocess.run(command, env=home.environ, check=True, capture_output=True, text=True).stdout


def write_snapshot(home: Home, command: list[str]) -> None:
    """Run a command that leaves a snapshot until it has: it does not while the configuration is younger than 2 s."""
    deadline = time.monotonic() + _SNAPSHOT_PATIENCE_S
    while not os.path.isdir(home.cache):
        if time.monotonic() > deadline:
            raise measuring.UnexpectedError(f"no snapshot was written in {_SNAPSHOT_PATIENCE_S} s")
        time.sleep(0.5)
        output_of(command, home)


def forget(home: Home) -> None:
    """Remove the snapshot."""
    shutil.rmtree(home.cache, ignore_errors=True)


if __name__ == "__main__":
    measuring.main(measure, rounds=40)
