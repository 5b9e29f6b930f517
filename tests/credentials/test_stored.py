"""The source of a stored login: when it reads, when it renews, what it says after a 401, and what it goes on with."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.credentials.worlds import LIFE, REFUSED, World

from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError
from keyfob.credentials.flights import Flights
from keyfob.credentials.journal import Intent, Journal
from keyfob.credentials.renewals import Renewals
from keyfob.errors import (
    AccountChangedError,
    ConfigError,
    DamagedLoginError,
    IllegalHeaderError,
    LockedError,
    LostRenewalError,
    NotSignedInError,
    PolicyError,
    RefusedError,
    RenewalError,
    StoreError,
)
from keyfob.stores.file import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.stored import StoredSource

PATIENCE = 20
EARLY = 0.01
"""Seconds before expiry: within every early window, and not expired."""


@pytest.fixture
def world(world: World) -> World:
    """One login that is good for long."""
    world.sign_in(expires_in=LIFE)
    return world


def token(credential: Credential | None) -> str | None:
    return credential.token if credential else None


def look_again(source: StoredSource) -> None:
    """As if 5 seconds had passed."""
    source._look_at = 0.0


def eventually(holds) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Counted:
    """The calls of a store's methods."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        for name in ("stamp", "read", "lock", "journal"):
            monkeypatch.setattr(world.store, name, self._counting(name, getattr(world.store, name)))

    def _counting(self, name: str, method: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            return method(*arguments, **options)

        return counted


class TestFresh:
    def test_nothing_is_read_before_it_is_asked_for(self, world: World) -> None:
        """`peek` never reads."""
        source = world.source()
        assert source.peek() is None
        assert token(source.get()) == "A1"
        assert source.peek() is source.get() is source.peek()
        assert world.issuer.presented == []

    def test_the_warm_path_takes_no_lock_and_looks_at_the_file_once_in_5_seconds(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One stat, no more."""
        source = world.source()
        source.get()
        counted = Counted(world, monkeypatch)
        for _ in range(100):
            assert source.peek()
        assert counted.calls == []
        look_again(source)
        for _ in range(100):
            assert source.peek()
        assert counted.calls == ["stamp"]

    def test_what_changed_is_read_again_and_judged_again(self, world: World) -> None:
        """After 5 seconds at the latest; without any times being compared."""
        source = world.source()
        first = source.get()
        world.take_over()
        assert source.peek() is first
        look_again(source)
        assert source.peek() is None
        assert token(source.get()) == token(source.peek()) == "A2"
        world.take_over()
        world.forbidden = PolicyError("forbidden")
        look_again(source)
        with pytest.raises(PolicyError):
            source.get()

    def test_bytes_decide_whether_it_is_another_and_the_same_token_is_the_same_credential(self, world: World) -> None:
        """A file that was only touched does not look to a client like a new credential."""
        source = world.source()
        first = source.get()
        os.utime(world.path, (1, 1))
        look_again(source)
        assert source.peek() is None
        assert source.get() is first

    def test_one_that_is_gone_is_gone(self, world: World) -> None:
        """Somebody has signed out; that is not the time to go on."""
        source = world.source()
        source.get()
        world.store.delete()
        look_again(source)
        assert source.peek() is None
        with pytest.raises(NotSignedInError):
            source.get()

    def test_somebody_elses_is_an_error_that_says_so(self, world: World) -> None:
        """Again and again: what is meant for one account is not billed to another."""
        source = world.source()
        source.get()
        world.sign_in(account="you", expires_in=LIFE)
        for _ in range(2):
            look_again(source)
            assert source.peek() is None
            with pytest.raises(AccountChangedError, match="somebody else has signed in") as caught:
                source.get()
        assert caught.value.hint == "keyfob status corp"
        assert token(world.source().get()) == "A1"

    def test_somebody_elses_is_not_renewed_for_it_either(self, world: World) -> None:
        """It had expired, and so has the other."""
        source = world.source()
        source.get()
        world.now += LIFE
        world.sign_in(account="you")
        with pytest.raises(AccountChangedError):
            source.get()
        assert world.issuer.presented == []

    def test_a_place_that_cannot_be_read_for_a_while_does_no_harm(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A keyring gets locked; what was read from it is good until it expires."""
        source = world.source()
        first = source.get()

        def stamp() -> None:
            raise StoreError("locked")

        monkeypatch.setattr(world.store, "stamp", stamp)
        look_again(source)
        assert source.peek() is None
        assert source.get() is source.peek() is first
        world.now += LIFE
        look_again(source)
        with pytest.raises(StoreError, match="locked"):
            source.get()

    def test_peek_never_raises(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever breaks: `get` is asked next, and says it."""
        source = world.source()
        source.get()

        def broken() -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(world.store, "stamp", broken)
        look_again(source)
        assert source.peek() is None
        with pytest.raises(ZeroDivisionError):
            source.get()

    def test_a_damaged_login_is_said_to_be_damaged(self, world: World) -> None:
        """It is not taken for none."""
        world.path.write_text("{")
        with pytest.raises(DamagedLoginError):
            world.source().get()

    def test_what_the_environment_gives_goes_first_and_is_judged(self, world: World) -> None:
        """It is looked at each time, so that what changes is seen at once."""
        source = world.source()
        source.get()
        world.logins.environ["TOKEN"] = "key-1"
        assert source.peek() is None
        given = source.get()
        assert given.token == "key-1"
        assert source.peek() is source.get(rejected=given) is given
        world.logins.environ["TOKEN"] = "key-2"
        world.forbidden = PolicyError("forbidden")
        with pytest.raises(PolicyError):
            source.get()
        world.forbidden = None
        del world.logins.environ["TOKEN"]
        assert token(source.get()) == "A1"


class TestEarly:
    def expire(self, world: World, source: StoredSource, left: float = EARLY) -> Credential:
        """Read it, and let time pass until it expires in so many seconds."""
        held = source.get()
        world.now = world.disk["expires_at"] - left
        return held

    def test_it_is_renewed_before_it_expires(self, world: World) -> None:
        """By whoever comes first."""
        source = world.source()
        self.expire(world, source)
        assert source.peek() is None
        assert token(source.get()) == token(source.peek()) == "A2"

    @pytest.mark.parametrize(("shared", "window"), [(True, 900), (False, 300)])
    def test_in_its_early_window_and_not_before(self, tmp_path: Path, *, shared: bool, window: int) -> None:
        """One that Codex shares earlier than any other."""
        world = World(tmp_path, shared=shared)
        world.sign_in(expires_in=LIFE, origin="https://corp.example")
        source = world.source()
        self.expire(world, source, window + 1)
        assert token(source.peek()) == "A1"
        world.now += 301
        assert source.peek() is None

    @pytest.mark.parametrize(
        "failure",
        [
            UnreachableError("down"),
            Answer(500, b""),
            Answer(429, b"", retry_after=60),
            Answer(401, b'{"error": "invalid_client"}'),
            REFUSED,
            Answer(200, b"<html>"),
            ConfigError("SSL_CERT_FILE"),
            ZeroDivisionError(),
        ],
    )
    def test_the_old_one_serves_whatever_fails_until_it_expires(self, world: World, failure: Any) -> None:
        """The next request does not try again at once; when there is nothing else, the failure is heard."""
        source = world.source()
        held = self.expire(world, source, left=8)
        world.issuer.answers = [failure]
        assert source.get() is source.peek() is held
        assert world.issuer.presented == ["R1"]
        world.now += 6  # a second look may have taken 2
        source._look_at = 0
        world.issuer.answers = [failure]
        if world.now < world.disk["expires_at"]:
            assert source.get() is held
        world.now += 2
        world.issuer.answers = [failure]
        with pytest.raises((RenewalError, ConfigError, ZeroDivisionError)):
            source.get()

    def test_a_renewal_that_broke_off_twice_is_heard_when_the_old_one_has_expired(self, world: World) -> None:
        """Then the command is named that mends it."""
        source = world.source()
        held = self.expire(world, source, left=5)
        world.issuer.answers = [(UnansweredError("reset"),)]
        assert source.get() is held
        world.now += 5
        with pytest.raises(LostRenewalError) as caught:
            source.get()
        assert caught.value.hint == "keyfob login corp --with-api-key"
        assert world.issuer.presented == ["R1", "R1"]

    def test_nothing_is_sent_where_the_answer_could_not_be_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The old one serves, then the obstacle is named."""
        source = world.source()
        held = self.expire(world, source)

        def prepare(_: object) -> None:
            raise StoreError("no room")

        monkeypatch.setattr(world.store, "prepare", prepare)
        assert source.get() is held
        world.now += 1
        with pytest.raises(StoreError, match="no room"):
            source.get()
        assert world.issuer.presented == []

    @pytest.mark.parametrize(
        ("happens", "error"),
        [
            (lambda world: world.sign_in(account="you", refresh="R9"), AccountChangedError),
            (lambda world: world.store.delete(), NotSignedInError),
            (lambda world: world.path.write_text("{"), DamagedLoginError),
            (lambda world: setattr(world, "forbidden", PolicyError("forbidden")), PolicyError),
        ],
    )
    def test_what_is_wrong_with_the_login_is_heard_at_once(
        self, world: World, happens: Any, error: type[Exception]
    ) -> None:
        """It happened while it was renewed; the old one is not to be used any more."""

        def meanwhile(secret: str) -> Answer:
            happens(world)
            return world.issuer.renewed(secret)

        source = world.source()
        self.expire(world, source)
        world.issuer.answers = [meanwhile]
        with pytest.raises(error):
            source.get()

    def test_while_another_process_renews_the_old_one_serves(self, world: World) -> None:
        """Its lock is tried, not waited for."""
        source = world.source()
        held = self.expire(world, source)
        with FileStore(str(world.path)).lock():
            assert source.get() is source.peek() is held
        assert world.issuer.presented == []

    def test_if_it_expires_while_the_lock_is_tried_it_is_waited_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Past expiry everyone waits: somebody is at it, so that is no error."""
        source, renew, waits = world.source(), Renewals().start, []
        self.expire(world, source)

        def held_by_another(*arguments: Any, **how: Any) -> Future[Any]:
            waits.append(how["wait"])
            if len(waits) > 1:
                return renew(*arguments, **how)
            world.now += 1
            raise LockedError("held")

        monkeypatch.setattr(source, "_renew", held_by_another)
        assert token(source.get()) == "A2"
        assert waits == [False, True]

    def test_a_slow_issuer_is_not_waited_for(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not for long; what comes of the renewal is used once it is there."""
        monkeypatch.setattr("keyfob.credentials.stored.PATIENCE", 0.01)
        source, gate = world.source(), threading.Event()
        held = self.expire(world, source)
        world.issuer.answers = [lambda _: void(gate.wait(PATIENCE))]
        assert source.get() is held
        under_way = source._under_way
        assert under_way is not None
        assert not under_way.done()
        gate.set()
        under_way.result(PATIENCE)
        world.now += 6
        assert token(source.get()) == "A2"
        assert world.issuer.presented == ["R1"]

    def test_unless_it_expires_meanwhile(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then it is."""
        monkeypatch.setattr("keyfob.credentials.stored.PATIENCE", 0.01)
        source, renew, waits = world.source(), Renewals().start, []
        self.expire(world, source)

        def slow(*arguments: Any, **how: Any) -> Future[Any]:
            waits.append(how["wait"])
            if how["wait"]:
                return renew(*arguments, **how)
            world.now += LIFE
            return Future()

        monkeypatch.setattr(source, "_renew", slow)
        assert token(source.get()) == "A2"
        assert waits == [False, True]

    def test_what_another_process_renewed_is_adopted(self, world: World) -> None:
        """One call for all of them."""
        source, other = world.source(), world.source()
        self.expire(world, source)
        other.get()
        assert token(source.get()) == "A2"
        assert world.issuer.presented == ["R1"]

    def test_while_somebody_here_renews_the_rest_go_on(self, world: World) -> None:
        """Those who came a moment too late too, and those of another provider that shares the login."""
        source, other = world.source(renews := Renewals().start), world.source(renews)
        flights, others = Flights(source, "corp"), Flights(other, "other")
        other.get()
        held = self.expire(world, source)
        begun, gate = threading.Event(), threading.Event()

        def slow(_: str) -> None:
            begun.set()
            assert gate.wait(PATIENCE)

        world.issuer.answers = [slow]
        renewing = flights.start()
        assert begun.wait(PATIENCE)
        eventually(lambda: source.peek() is held)  # its thread has yet to come back from starting the renewal's
        assert flights.get() is flights.start().result(0) is held
        assert token(others.get()) == "A1"
        gate.set()
        assert token(renewing.result(PATIENCE)) == "A2"
        assert token(source.peek()) == "A2"
        assert world.issuer.presented == ["R1"]

    def test_a_thread_that_comes_back_late_does_not_bring_the_old_one_back(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its renewal failed, and meanwhile another has succeeded."""
        source = world.source()
        held = self.expire(world, source)

        def renew(*_: Any, **__: Any) -> Future[Any]:
            world.take_over()
            source._read()
            raise LockedError("held")

        monkeypatch.setattr(source, "_renew", renew)
        assert source.get() is held
        assert token(source.peek()) == "A2"

    def test_once_renewed_it_is_not_renewed_again(self, world: World) -> None:
        """Before its own time."""
        source = world.source()
        self.expire(world, source)
        for _ in range(5):
            source.get()
            look_again(source)
        assert world.issuer.presented == ["R1"]

    def test_an_interrupted_renewal_is_finished_before_its_time(self, world: World) -> None:
        """By the next who reads the login, however good it is."""
        world.store.note(Journal(Intent(world.record.fingerprint, sent=True)))
        source = world.source()
        assert token(source.get()) == "A2"
        assert world.store.journal().intent is None


class TestExpired:
    @pytest.mark.slow
    def test_all_wait_and_one_call_is_made(self, world: World) -> None:
        """64 threads, each without flights of a client, and in the same process a second provider."""
        world.now += LIFE
        source, other = world.source(renews := Renewals().start), world.source(renews)
        barrier, gate = threading.Barrier(64), threading.Event()
        world.issuer.answers = [lambda _: void(gate.wait(PATIENCE))]

        def ask(number: int) -> str | None:
            barrier.wait(PATIENCE)
            if number == 0:
                threading.Timer(0.1, gate.set).start()
            return token((source, other)[number % 2].get())

        with ThreadPoolExecutor(64) as pool:
            assert set(pool.map(ask, range(64))) == {"A2"}
        assert world.issuer.presented == ["R1"]

    def test_all_hear_of_the_same_failure(self, world: World) -> None:
        """Nobody tries it after the others."""
        world.now += LIFE
        world.issuer.answers = [REFUSED]
        source, barrier = world.source(), threading.Barrier(16)

        def ask(_: int) -> type[BaseException]:
            barrier.wait(PATIENCE)
            with pytest.raises(RefusedError) as caught:
                source.get()
            return caught.type

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(ask, range(16))) == {RefusedError}
        assert world.issuer.presented == ["R1"]

    def test_what_cannot_be_renewed_names_the_command(self, world: World) -> None:
        """It has no secret to be renewed with."""
        world.sign_in(refresh=None)
        with pytest.raises(NotSignedInError, match="has expired and cannot be renewed") as caught:
            world.source().get()
        assert caught.value.hint == "keyfob login corp --with-api-key"

    def test_one_that_was_expired_when_it_came_is_an_error(self, world: World) -> None:
        """It is kept, and nobody asks again for a minute."""
        world.now += LIFE
        world.issuer.life = -5
        source = world.source()
        with pytest.raises(RenewalError, match="expired") as caught:
            source.get()
        assert caught.value.hint == "try again in a minute, or keyfob login corp --with-api-key"
        for _ in range(2):
            with pytest.raises(RenewalError, match="expired"):
                source.get()
        assert world.issuer.presented == ["R1"]
        assert world.disk["refresh"] == "R2"

    def test_where_this_clock_is_an_hour_ahead_it_serves_and_that_is_said_once(self, world: World) -> None:
        """The issuer's date shows it."""
        world.now += LIFE

        def ahead(secret: str) -> Answer:
            body = world.issuer.renewed(secret, expires_at=world.now - 600).body
            return Answer(200, body, date=world.now - 3600)

        world.issuer.answers = [ahead]
        source = world.source()
        assert token(source.get()) == token(source.peek()) == "A2"
        world.now += 1000
        assert token(source.peek()) == "A2"
        look_again(source)
        source.get()
        said = "clock: this machine's clock is 3600 s ahead of the issuer's (set the clock)"
        assert [str(fault) for fault in world.warned] == [said]
        world.now += 2000
        assert token(source.get()) == "A3"
        assert world.issuer.presented == ["R1", "R2"]

    def test_where_this_clock_is_an_hour_behind_a_401_tells(self, world: World) -> None:
        """It seems good for longer than it is."""
        world.sign_in(expires_in=1800 + 3600, issued_ago=1800)
        source = world.source()
        assert token(source.get(rejected=source.get())) == "A2"

    def test_ctrl_c_ends_the_waiting_and_nothing_else(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The renewal goes on, and the next caller has what came of it."""
        world.now += LIFE
        renewals, source = Renewals(), world.source()
        under_way: list[Future[Any]] = []

        class Interrupted(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                raise KeyboardInterrupt

        def renew(*arguments: Any, **how: Any) -> Future[Any]:
            under_way.append(renewals.start(*arguments, **how))
            return Interrupted()

        with monkeypatch.context() as patch:
            patch.setattr(source, "_renew", renew)
            with pytest.raises(KeyboardInterrupt):
                source.get()
        under_way[0].result(PATIENCE)
        assert token(source.get()) == "A2"
        assert world.issuer.presented == ["R1"]


def void(_: object) -> None:
    """Drop a result."""


class TestUnauthorized:
    def test_the_current_one_is_renewed(self, world: World) -> None:
        """It is said why."""
        source = world.source()
        assert token(source.get(rejected=source.get())) == "A2"
        assert world.issuer.reasons == ["unauthorized_recovery"]

    def test_one_that_is_not_current_any_more_is_replaced_by_what_is(self, world: World) -> None:
        """Another program has renewed it; that is looked for at once."""
        source = world.source()
        old = source.get()
        world.take_over()
        assert token(source.get(rejected=old)) == "A2"
        assert token(source.get(rejected=old)) == "A2"
        assert world.issuer.presented == []

    def test_one_that_is_new_is_not_renewed(self, world: World) -> None:
        """It was issued less than 60 s ago."""
        world.sign_in(expires_in=LIFE, issued_ago=59)
        source = world.source()
        credential = source.get()
        assert source.get(rejected=credential) is credential
        world.now += 1
        assert token(source.get(rejected=credential)) == "A2"

    def test_a_proxy_that_refuses_everything_has_a_login_renewed_once(self, world: World) -> None:
        """Not after 10 minutes either: the successor was refused too."""
        source = world.source()
        refused = source.get()
        for _ in range(4):
            newer = source.get(rejected=refused)
            if newer is refused:
                break
            refused = newer
        assert refused.token == "A2"
        for _ in range(10):
            world.now += 601
            assert source.get(rejected=refused) is refused
        assert world.issuer.presented == ["R1"]

    def test_a_successor_that_was_good_for_a_while_may_be_renewed_for_a_401(self, world: World) -> None:
        """It was revoked, and that is what a 401 tells."""
        source = world.source()
        second = source.get(rejected=source.get())
        world.now += 601
        assert token(source.get(rejected=second)) == "A3"

    def test_at_most_once_in_10_minutes_by_all_processes(self, world: World) -> None:
        """It is noted beside the login."""
        source = world.source()
        source.get(rejected=source.get())
        world.now += 300
        for other in (world.source(), world.source()):
            credential = other.get()
            assert other.get(rejected=credential) is credential
        world.now += 300
        assert token(other.get(rejected=credential)) == "A3"

    def test_one_that_is_due_anyway_is_renewed_in_any_case(self, world: World) -> None:
        """Its early window has begun."""
        world.store.note(Journal(forced_at=world.now))
        source = world.source()
        credential = source.get()
        world.now += LIFE - EARLY
        world.store.note(Journal(forced_at=world.now))
        assert token(source.get(rejected=credential)) == "A2"

    def test_it_waits_for_whoever_renews(self, world: World) -> None:
        """The old one is of no use to it."""
        source = world.source()
        credential = source.get()
        with ThreadPoolExecutor(1) as pool, ExitStack() as lock:
            lock.enter_context(FileStore(str(world.path)).lock())
            waiting = pool.submit(source.get, rejected=credential)
            world.take_over()
            lock.close()
            assert token(waiting.result(PATIENCE)) == "A2"
        assert world.issuer.presented == []

    def test_a_failure_is_said(self, world: World) -> None:
        """It tells more than the 401."""
        source = world.source()
        world.issuer.answers = [Answer(500, b"")]
        with pytest.raises(RenewalError, match="answered 500"):
            source.get(rejected=source.get())

    def test_a_failure_that_may_pass_keeps_no_renewal_off_but_for_its_back_off(self, world: World) -> None:
        """Everybody hears of it until then."""
        source = world.source()
        world.issuer.answers = [Answer(500, b"")]
        credential = source.get()
        for each in (source, source, world.source()):
            with pytest.raises(RenewalError, match=r"^corp: the login could not be renewed: issuer\.example"):
                each.get(rejected=credential)
        assert world.issuer.reasons == ["unauthorized_recovery"]
        world.now += 1
        assert token(source.get(rejected=credential)) == "A2"
        assert world.issuer.reasons == ["unauthorized_recovery"] * 2
        assert world.store.journal().forced_at == world.now

    def test_an_api_key_is_what_it_is(self, world: World) -> None:
        """There is no other."""
        world.sign_in(refresh=None, expires_at=None)
        source = world.source()
        credential = source.get()
        assert source.get(rejected=credential) is credential


class TestUnsendable:
    """A token that came damaged, with a secret that renews the login."""

    def test_it_is_renewed_at_once(self, world: World) -> None:
        """Nobody has to wait for it to expire."""
        world.sign_in(expires_in=LIFE, access="A\n1")
        source = world.source()
        assert source.peek() is None
        assert token(source.get()) == token(source.peek()) == "A2"
        assert world.issuer.reasons == ["unauthorized_recovery"]

    def test_but_not_again_and_again(self, world: World) -> None:
        """Whoever sends nothing else is asked as often as by a proxy that answers 401 to everything."""
        world.sign_in(expires_in=LIFE, access="A\n1")
        world.issuer.answers = [lambda secret: world.issuer.renewed(secret, access="A\n2")]
        for each in (source := world.source(), source, world.source()):
            with pytest.raises(IllegalHeaderError, match="it has a line break"):
                each.get()
        assert world.issuer.presented == ["R1"]
        world.now += 600
        assert token(source.get()) == "A3"

    def test_its_failure_is_heard_and_backed_off_from(self, world: World) -> None:
        """By all who try the same."""
        world.sign_in(expires_in=LIFE, access="A\n1")
        world.issuer.answers = [Answer(503, b"")]
        for _ in range(2):
            with pytest.raises(RenewalError, match="answered 503"):
                world.source().get()
        assert world.issuer.presented == ["R1"]

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [({"refresh": None}, IllegalHeaderError), ({"account": "you"}, AccountChangedError), ({}, PolicyError)],
    )
    def test_nothing_is_sent_for_one_that_may_not_be_used(
        self, world: World, fields: dict[str, Any], kind: type[Exception]
    ) -> None:
        """Or cannot be renewed."""
        source = world.source()
        source.get()
        world.sign_in(expires_in=LIFE, access="A\n1", **fields)
        world.forbidden = PolicyError("forbidden") if kind is PolicyError else None
        look_again(source)
        with pytest.raises(kind):
            source.get()
        assert world.issuer.presented == []


def test_a_forked_child_does_not_take_its_parents_renewal_for_its_own(world: World) -> None:
    """It would never end there."""
    source = world.source(lambda *_, **__: Future())
    held = source.get()
    source._under_way = Future()
    world.now = world.disk["expires_at"] - EARLY
    assert source.peek() is held
    source.forget()
    assert source.peek() is None
