"""One auth.json that the real Codex client and keyfob renew at the same time, for a minute.

A token of five minutes and a second is renewed by Codex a second later. For keyfob to find the same token near its end,
its clock is put ahead; nothing else is changed in it.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from keyfob.testing.issuer import Issuer, jwt
from keyfob.testing.model_server import TEXT, ModelServer

from .shared import CodexHome

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

pytestmark = pytest.mark.usefixtures("codex")
# A program with four threads on one host, and one that begins anew each time, as short programs do. It prints the
# errors of those that got no credential.
LIBRARY = """
import json, sys, threading, time
import keyfob

until, errors = time.monotonic() + float(sys.argv[1]), []

def use(host):
    while time.monotonic() < until and not errors:
        try:
            (host or keyfob.Host()).provider().credential()
        except Exception as error:
            errors.append(repr(error))
        time.sleep(0.05)

host = keyfob.Host()
threads = [threading.Thread(target=use, args=[each]) for each in (host, host, host, host, None)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(errors))
"""


class Both:
    """What came of a time in which Codex and keyfob used one login. ahead: seconds that keyfob's clock is ahead."""

    def __init__(self, home: CodexHome, seconds: float, ahead: float) -> None:
        clock = home.ahead(ahead)
        self._until = time.monotonic() + seconds
        with ThreadPoolExecutor() as pool:
            turns = [pool.submit(self._each, home.turn) for _ in range(2)]
            tokens = pool.submit(self._each, lambda: home.keyfob("token", **clock))
            programs = [pool.submit(home.python, LIBRARY, str(seconds), **clock) for _ in range(2)]
        self.turns = [turn for each in turns for turn in each.result()]
        self._tokens = tokens.result()
        self._programs = [each.result() for each in programs]

    def _each(self, run: Callable[[], CompletedProcess[str]]) -> list[CompletedProcess[str]]:
        done = []
        while time.monotonic() < self._until:
            done.append(run())
        return done

    @property
    def failures(self) -> list[str]:
        """What keyfob said where it gave no credential."""
        said = [each.stderr for each in (*self._tokens, *self._programs) if each.returncode != 0]
        return said + [error for each in self._programs for error in json.loads(each.stdout)]


def presented(issuer: Issuer, side: str) -> list[str]:
    """The refresh tokens that one side presented: `keyfob` or `codex_exec`."""
    return [each.fields["refresh_token"] for each in issuer.presented if each.headers["originator"] == side]


def renewed(issuer: Issuer, side: str) -> int:
    """How often that side got new tokens."""
    return sum(each.headers["originator"] == side and each.status == 200 for each in issuer.presented)


def expire(home: CodexHome) -> None:
    """Let the time of the stored access token be over."""
    home.store({**home.stored, "tokens": {**home.stored["tokens"], "access_token": jwt(exp=int(time.time()) - 60)}})


def works(home: CodexHome, issuer: Issuer) -> None:
    """The stored login can be renewed by keyfob once its token has expired; then it is good for both."""
    before, issuer.lifetime = renewed(issuer, "keyfob"), 3600.0  # or Codex would renew it while it starts, and trip
    expire(home)
    asked = home.keyfob("request", "models")
    assert asked.returncode == 0, asked.stderr
    assert renewed(issuer, "keyfob") == before + 1
    turn = home.turn()
    assert (turn.returncode, turn.stdout.strip()) == (0, TEXT), turn.stderr
    assert issuer.is_current(home.stored["tokens"]["refresh_token"])


@pytest.mark.slow
def test_with_an_issuer_that_refuses_reuse_both_renew(tmp_path):
    """Each adopts what the other got; keyfob presents nothing twice, and never fails."""
    with Issuer(lifetime=300.5, reuse="refuse") as issuer, ModelServer() as server:
        home = CodexHome.of_openai(tmp_path, issuer, server)
        home.store(issuer.login())
        # First what Codex has just got is old to keyfob, so they take turns; then they find it old at the same moment.
        in_turn, at_once = Both(home, 40, ahead=227), Both(home, 20, ahead=224.7)
        assert in_turn.failures + at_once.failures == []
        assert renewed(issuer, "keyfob") > 20
        assert renewed(issuer, "codex_exec") > 20
        mine = presented(issuer, "keyfob")
        assert len(set(mine)) == len(mine)
        works(home, issuer)


@pytest.mark.slow
def test_with_an_issuer_that_revokes_keyfob_is_first(tmp_path):
    """Codex finds nothing to renew: it makes no call, and the family lives."""
    with Issuer(lifetime=900, reuse="revoke") as issuer, ModelServer() as server:
        home = CodexHome.of_openai(tmp_path, issuer, server)
        home.store(issuer.login())
        both = Both(home, 30, ahead=896)  # to keyfob a token lives for four seconds, and is renewed after three
        assert both.failures == []
        assert {(turn.returncode, turn.stdout.strip()) for turn in both.turns} == {(0, TEXT)}
        assert presented(issuer, "codex_exec") == []
        assert issuer.renewals > 5
        assert not issuer.reused
        works(home, issuer)


def test_keyfob_is_first_by_the_right_clock_too(tmp_path):
    """With eight minutes to go, whoever uses the login; it is renewed once, and Codex uses what came of it."""
    with Issuer(reuse="revoke") as issuer, ModelServer() as server:
        home = CodexHome.of_openai(tmp_path, issuer, server)
        home.store(issuer.login(expires_in=480))
        both = Both(home, 2, ahead=0)
        assert both.failures == []
        assert {(turn.returncode, turn.stdout.strip()) for turn in both.turns} == {(0, TEXT)}
        assert presented(issuer, "codex_exec") == []
        assert (issuer.renewals, len(issuer.presented)) == (1, 1)
        home.turn()
        assert server.received[-1].header("authorization") == f"Bearer {home.stored['tokens']['access_token']}"


@pytest.mark.slow
def test_a_login_that_both_spent_at_once_is_lost_in_plain_words(tmp_path):
    """An issuer that revokes on reuse ends it; both go on with what the first of them got, and then keyfob says so."""
    # So long that the other one has started, too, on a machine that has much to do.
    with Issuer(reuse="revoke", delay=6) as issuer, ModelServer() as server:
        home = CodexHome.of_openai(tmp_path, issuer, server)
        home.store(issuer.login(expires_in=-60))
        with ThreadPoolExecutor() as pool:
            turn, asked = pool.submit(home.turn), pool.submit(home.keyfob, "token")
        assert (turn.result().returncode, turn.result().stdout.strip()) == (0, TEXT), turn.result().stderr
        assert asked.result().stdout.strip() == home.stored["tokens"]["access_token"], asked.result().stderr
        assert sorted(each.status for each in issuer.presented) == [200, 401]
        assert not issuer.is_current(home.stored["tokens"]["refresh_token"])
        expire(home)
        lost, status = home.keyfob("token"), home.keyfob("status")
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "refused to renew the login (invalid_grant)" in lost.stderr
    assert "keyfob login" in lost.stderr
    assert "refused for good" in status.stdout
