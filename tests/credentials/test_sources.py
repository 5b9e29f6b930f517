"""Sources: one that looks each time, one that mints and keeps; and flights, which make one call of many."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyfob.credentials.credential import Credential
from keyfob.credentials.exchange import UnreachableError
from keyfob.credentials.flights import Flights
from keyfob.credentials.forks import forget_after_fork
from keyfob.credentials.minting import REPLACEMENT_HOLD, MintingSource
from keyfob.credentials.source import CredentialSource, Signer, StaticSource
from keyfob.credentials.timing import OWN_SHARE, OWN_WINDOW, RETRY_AFTER
from keyfob.errors import CredentialError, IllegalHeaderError, MissingCredentialError, PluginError

PATIENCE = 20


class TestStatic:
    def test_what_changed_outside_is_seen_at_once(self) -> None:
        """The credential is another object then, and the same one as long as nothing changes."""
        headers = {"X-Key": "a"}
        source = StaticSource(lambda: dict(headers))
        first = source.peek()
        assert first is source.get() is source.get(rejected=first)
        headers["X-Key"] = "b"
        second = source.peek()
        assert second is not None
        assert second is not first
        assert second.headers["X-Key"] == "b"

    def test_what_it_watches_decides_whether_it_reads_again(self) -> None:
        """Reading may be dear; looking at a variable is not."""
        environ, reads = {"KEY": "a"}, []

        def read() -> dict[str, str]:
            reads.append(environ["KEY"])
            return {"X-Key": environ["KEY"]}

        source = StaticSource(read, watch=lambda: environ.get("KEY"))
        assert source.peek() is source.get() is source.peek()
        environ["KEY"] = "b"
        assert source.get().headers["X-Key"] == "b"
        assert source.peek() is source.get()
        assert reads == ["a", "b"]

    @pytest.mark.parametrize(
        ("raised", "seen"),
        [
            (MissingCredentialError("no"), MissingCredentialError),
            (OSError("no"), OSError),
        ],
    )
    def test_peek_never_raises_and_get_says_why(self, raised: Exception, seen: type[Exception]) -> None:
        """Each error is the source's own."""

        def read() -> dict[str, str]:
            raise raised

        source = StaticSource(read)
        assert source.peek() is None
        with pytest.raises(seen) as caught:
            source.get()
        assert caught.value is raised

    def test_a_value_that_becomes_illegal_is_an_error_and_one_that_is_mended_is_not(self) -> None:
        """Nothing of a failure is kept."""
        value = "a"
        source = StaticSource(lambda: {"X-Key": value})
        assert source.peek()
        value = "a\nb"
        assert source.peek() is None
        with pytest.raises(IllegalHeaderError):
            source.get()
        value = "a"
        assert source.peek()

    def test_it_is_a_source_and_no_signer(self) -> None:
        """As `isinstance` sees it, which decides what the client does."""
        source = StaticSource(dict)
        assert isinstance(source, CredentialSource)
        assert not isinstance(source, Signer)


class Minting:
    """A minting source with a clock of its own. `life` is how long each credential is good, None for unknown."""

    def __init__(self, life: float | None = None, max_age: float | None = None) -> None:
        self.now = 1000.0
        self.life = life
        self.count = 0
        self.slow = 0.0
        self.failure: Exception | None = None
        self.source = MintingSource(self.mint, clock=lambda: self.now, max_age=max_age)

    def mint(self) -> Credential:
        self.count += 1
        self.now += self.slow
        if self.failure is not None:
            raise self.failure
        return Credential.bearer(str(self.count), expires_at=None if self.life is None else self.now + self.life)

    def peeked(self) -> str | None:
        credential = self.source.peek()
        return credential.token if credential else None

    def got(self, rejected: Credential | None = None) -> str | None:
        return self.source.get(rejected=rejected).token


class TestMinting:
    def test_nothing_is_minted_before_it_is_asked_for(self) -> None:
        """`peek` never mints."""
        minting = Minting()
        assert minting.peeked() is None
        assert minting.count == 0
        assert minting.got() == minting.peeked() == minting.got() == "1"

    @pytest.mark.parametrize(
        ("life", "fresh"),
        [(3600.0, 3600 - OWN_WINDOW[0]), (600.0, 600 * (1 - OWN_SHARE)), (0.0, 0.0), (-10.0, 0.0)],
    )
    def test_it_is_replaced_before_it_expires(self, life: float, fresh: float) -> None:
        """Five minutes before, or with a tenth of its life to go."""
        minting = Minting(life)
        minting.got()
        minting.now = 1000 + fresh - 0.001
        assert minting.peeked() == "1" or not fresh
        minting.now = 1000 + fresh
        assert minting.peeked() is None
        assert minting.got() == "2"

    @pytest.mark.parametrize(("max_age", "later", "token"), [(None, 1e9, "1"), (300, 299.9, "1"), (300, 300, "2")])
    def test_without_an_expiry_its_age_counts(self, max_age: float | None, later: float, token: str) -> None:
        """Or, without a limit to that, only a 401."""
        minting = Minting(max_age=max_age)
        minting.got()
        minting.now += later
        assert minting.got() == token

    def test_a_refused_one_is_replaced(self) -> None:
        """Who comes with the old one afterwards is given the new one."""
        minting = Minting()
        first = minting.source.get()
        assert minting.got(rejected=first) == "2"
        assert minting.got(rejected=first) == "2"
        assert minting.peeked() == "2"
        assert minting.count == 2

    def test_a_replacement_that_is_refused_too_is_not_replaced_at_once(self) -> None:
        """A server that answers 401 to everything does not make a command run with each request."""
        minting = Minting()
        second = minting.source.get(rejected=minting.source.get())
        minting.now += REPLACEMENT_HOLD - 0.1
        assert minting.source.get(rejected=second) is second
        minting.now += 0.1
        assert minting.got(rejected=second) == "3"

    def test_while_somebody_mints_the_others_go_on_with_the_old_one_as_long_as_it_is_good(self) -> None:
        """They wait only when it has expired."""
        minting = Minting(1000)
        minting.got()
        minting.now += 950
        assert minting.peeked() is None
        with minting.source._lock:
            assert minting.peeked() == "1"
            minting.now += 50
            assert minting.peeked() is None

    def test_an_issuer_that_is_down_is_not_waited_for_by_each_request(self) -> None:
        """In the early window; it is asked again a few seconds later, and again once nothing else is left."""
        minting = Minting(1000)
        first = minting.source.get()
        minting.now += 950
        minting.failure = CredentialError("down")
        assert minting.source.get() is minting.source.peek() is minting.source.get() is first
        assert minting.count == 2
        minting.now += RETRY_AFTER
        assert minting.peeked() is None
        assert minting.source.get() is first
        assert minting.count == 3
        minting.now = 1999
        assert minting.source.get() is first
        minting.now = 2000
        assert minting.peeked() is None

    @pytest.mark.parametrize("failure", [CredentialError("down"), UnreachableError("down"), KeyError("token")])
    def test_the_old_one_serves_whatever_the_early_replacement_raises(self, failure: Exception) -> None:
        """Also where an older one was refused; not once it has expired while its replacement was waited for."""
        minting = Minting(1000)
        first = minting.source.get()
        second = minting.source.get(rejected=first)
        minting.now += 950
        minting.failure = failure
        assert minting.source.get(rejected=first) is second
        minting.now += RETRY_AFTER
        minting.slow = 50
        with pytest.raises(type(failure)):
            minting.source.get()

    def test_if_the_early_replacement_fails_the_old_one_serves_until_it_expires(self) -> None:
        """The failure is heard when there is nothing else, or when the old one was refused."""
        minting = Minting(1000)
        first = minting.source.get()
        minting.now += 950
        minting.failure = CredentialError("down")
        assert minting.source.get() is first
        with pytest.raises(CredentialError):
            minting.source.get(rejected=first)
        minting.now += 50
        with pytest.raises(CredentialError):
            minting.source.get()
        minting.failure = None
        assert minting.got() == "5"

    def test_many_threads_mint_once(self) -> None:
        """Also without the flights of a client, as when two clients share a source."""
        minting = Minting()
        barrier = threading.Barrier(20)

        def get(_: int) -> str | None:
            barrier.wait(PATIENCE)
            return minting.got()

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(get, range(20))) == {"1"}


class Gated:
    """A source whose `get` waits for the gate, then does what it was told."""

    def __init__(self, outcome: Credential | BaseException) -> None:
        self.outcome = outcome
        self.gate, self.begun = threading.Event(), threading.Event()
        self.asked: list[Any] = []
        self.first: BaseException | None = None

    def peek(self) -> None:
        return None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        self.asked.append(rejected)
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        outcome, self.first = self.first or self.outcome, None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class TestFlights:
    def test_callers_share_one_call_for_each_refused_credential(self) -> None:
        """Those who come without one share another."""
        source = Gated(Credential.bearer("a"))
        flights = Flights(source, "corp")
        refused = Credential.bearer("old")
        futures = [flights.start(each) for each in (None, refused, None, refused)]
        source.gate.set()
        assert {future.result(PATIENCE) for future in futures} == {source.outcome}
        assert sorted(source.asked, key=str) == sorted([None, refused], key=str)
        assert futures[0] is futures[2]

    def test_a_call_is_made_in_the_thread_that_waits_for_it(self) -> None:
        """Sync callers need no other."""
        source = Gated(Credential.bearer("a"))
        source.gate.set()
        before = threading.active_count()
        assert Flights(source, "corp").get() is source.outcome
        assert threading.active_count() == before

    def test_cancelling_a_future_changes_nothing(self) -> None:
        """For those who wait for it too."""
        source = Gated(Credential.bearer("a"))
        future = Flights(source, "corp").start()
        assert not future.cancel()
        source.gate.set()
        assert future.result(PATIENCE) is source.outcome

    def test_a_failure_is_shared_and_forgotten(self) -> None:
        """The next caller makes a call of its own."""
        source = Gated(CredentialError("down"))
        flights = Flights(source, "corp")
        futures = [flights.start() for _ in range(3)]
        source.gate.set()
        assert [str(future.exception(PATIENCE)) for future in futures] == ["down"] * 3
        source.outcome = Credential.bearer("a")
        assert flights.get() is source.outcome
        assert len(source.asked) == 2

    def test_a_source_that_breaks_is_named_by_its_provider(self) -> None:
        """What it may not raise becomes an error of ours, without its text."""
        source = Gated(ValueError("secret"))
        source.gate.set()
        with pytest.raises(PluginError, match=r"^corp: its auth plugin broke: ValueError$") as caught:
            Flights(source, "corp").get()
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize("waited_for", [False, True])
    def test_ctrl_c_reaches_the_thread_it_was_meant_for(self, *, waited_for: bool) -> None:
        """Those who wait for that thread's call have it made by another; the next caller starts anew."""
        source = Gated(Credential.bearer("a"))
        source.first = KeyboardInterrupt()
        flights = Flights(source, "corp")
        seen: list[BaseException] = []

        def fly() -> None:
            try:
                flights.get()
            except KeyboardInterrupt as error:
                seen.append(error)

        thread = threading.Thread(target=fly)
        thread.start()
        assert source.begun.wait(PATIENCE)
        waiter = flights.start() if waited_for else None
        source.gate.set()
        thread.join(PATIENCE)
        assert [type(error) for error in seen] == [KeyboardInterrupt]
        assert waiter is None or waiter.result(PATIENCE) is source.outcome
        assert len(source.asked) == 1 + waited_for
        assert flights.get() is source.outcome

    def test_if_no_thread_can_be_started_that_is_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody waits for ever, and the next caller may have more luck."""
        source = Gated(Credential.bearer("a"))
        source.gate.set()
        flights = Flights(source, "corp")

        def start(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            future = flights.start()
        with pytest.raises(CredentialError, match="can't start new thread"):
            future.result(0)
        assert flights.start().result(PATIENCE) is source.outcome

    def test_in_a_forked_child_nothing_is_under_way(self) -> None:
        """`forget` is what the child calls (tests/clients forks for real)."""
        source = Gated(Credential.bearer("a"))
        flights = Flights(source, "corp")
        parents = flights.start()
        assert source.begun.wait(PATIENCE)
        flights._lock.acquire()
        flights.forget()
        childs = flights.start()
        source.gate.set()
        assert childs is not parents
        assert childs.result(PATIENCE) is source.outcome


@pytest.mark.slow
def test_what_forgets_after_a_fork_is_not_kept_alive_for_that() -> None:
    """Sources come and go with their hosts."""

    class Subject:
        def forget(self) -> None:
            pass

    subject = Subject()
    forget_after_fork(subject)
    gone = weakref.ref(subject)
    del subject
    gc.collect()
    assert gone() is None
