"""The benchmarks work, and what they measure they have checked: none of them times a request that was not signed.

Nothing here looks at how long anything took.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from multiprocessing import Pipe

import httpx
import pytest

import keyfob.httpx
from keyfob import Host
from keyfob.config.places import Places

pytestmark = pytest.mark.slow

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "benchmarks")
# What each table holds wherever the benchmarks run; peers that are not installed are left out.
ROWS = {
    "token_command": [
        "python -I -c pass",
        "keyfob token, warm",
        "keyfob token, cold",
        "keyfob token, ChatGPT login in a file",
        "keyfob token, API key in a file",
    ],
    "credential_per_request": ["no auth", "static header", "keyfob Client", "ChatGPT login", "keyfob Auth"],
    "renewal_race": ["keyfob Client"],
    "installed_plugins": ["no plugin installed", "100 plugins installed"],
    "host_ready": ["keyfob, warm", "keyfob, cold", "importlib.metadata", "pluggy"],
}


@pytest.fixture
def module(monkeypatch):
    """A module of benchmarks/."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def cases(module, monkeypatch, tmp_path):
    """The cases of httpx, made, by name."""
    homes, clients = module("homes"), module("clients")
    monkeypatch.setenv("LAB_KEY", homes.KEY)
    home = homes.make_home(str(tmp_path / "home"), 3, 'env_key = "LAB_KEY"')
    host = Host(places=Places(home.codex_home, system=str(tmp_path), cache=home.cache))
    return {name: make() for name, make in clients.of_httpx(httpx, keyfob.httpx, host).items()}


@pytest.mark.parametrize("name", ROWS)
def test_each_runs_alone(name):
    """One round of it prints the table, with a goal and whether it was met."""
    done = subprocess.run(
        [sys.executable, os.path.join(FOLDER, f"{name}.py"), "--rounds", "1"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    head, rule, *rows = done.stdout.splitlines()
    assert all(row.count("|") == head.count("|") == rule.count("|") for row in rows)
    assert all(any(wanted in row for row in rows) for wanted in ROWS[name])
    assert any("≤" in row for row in rows)


def test_what_the_server_received_is_checked(module, cases, monkeypatch):
    """A request that is signed with anything else is an error: here the variable changes under a client."""
    for case in cases.values():
        case.send(1)
        case.check()
    monkeypatch.setenv("LAB_KEY", "another-key")
    for case in cases.values():
        case.send(1)
    cases["static header"].check()
    for name in ("keyfob Client", "keyfob Auth"):
        with pytest.raises(module("measuring").UnexpectedError, match="'Bearer another-key' instead of"):
            cases[name].check()


@pytest.mark.parametrize("expected", [None, "Bearer another"])
def test_a_client_that_fails_the_check_is_not_measured(module, cases, expected):
    """The process that it runs in says so instead of being ready; also where there should be no credential."""
    clients, case = module("clients"), cases["static header"]
    ours, theirs = Pipe()
    module("credential_per_request").work(lambda: clients.Case(case.send, case.server, expected), theirs)
    assert isinstance(ours.recv(), module("measuring").UnexpectedError)
    assert not ours.poll()


def test_a_command_that_prints_something_else_is_not_timed(module, tmp_path):
    """Its output is checked first, and its exit code every time."""
    token_command, homes, measuring = module("token_command"), module("homes"), module("measuring")
    home = homes.make_home(str(tmp_path / "home"), 1, "")
    with pytest.raises(measuring.UnexpectedError, match="instead of"):
        token_command.process([sys.executable, "-c", "print('no token')"], home, f"{homes.KEY}\n")
    with pytest.raises(measuring.UnexpectedError, match="exit code"):
        token_command.wall([sys.executable, "-c", "raise SystemExit(3)"], home.environ)


def test_a_race_counts_calls_spent_tokens_and_failures(module):
    """Here of a client that renews in each process for itself: one process gets a token, the others none."""
    race = module("renewal_race")

    def of_alone(login):
        answer = httpx.post(login.url, data=login.grant)
        token = answer.json().get("access_token", login.access_token)
        return lambda: race.good(f"Bearer {token}")

    racers = [race.Racer({"alone": of_alone}) for _ in range(3)]
    found = race.one_round(racers, "alone")
    for racer in racers:
        racer.end()
    assert (found.calls, found.spent, found.failed) == (3, 2, 2 * race.THREADS)


def test_a_client_that_cannot_be_made_does_not_race(module):
    """What is wrong with it is told."""
    race, measuring = module("renewal_race"), module("measuring")
    racers = [race.Racer({"none": lambda login: 1 / 0})]
    with pytest.raises(measuring.UnexpectedError, match="no client: division by zero"):
        race.one_round(racers, "none")
    racers[0].end()


def test_rounds_are_interleaved_and_compared_round_by_round(module):
    """What slows a whole round down changes neither ratio nor difference."""
    measuring = module("measuring")
    order = []

    def variant(name):
        def run():
            order.append(name)
            return 1.0

        return run

    taken = measuring.interleaved({"one": variant("one"), "other": variant("other")}, 4)
    assert taken == {"one": [1.0] * 4, "other": [1.0] * 4}
    assert all({*order[at : at + 2]} == {"one", "other"} for at in range(0, len(order), 2))
    assert measuring.ratio([2.0, 20.0, 4.0], [1.0, 10.0, 2.0]) == 2.0
    assert measuring.difference([3.0, 103.0, 5.0], [1.0, 101.0, 3.0]) == 2.0
