"""One renewal: what is done under the lock, what a start finds there, and what everybody adopts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.credentials.worlds import LIFE, REFUSED, Logins, World

from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError
from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.credentials.outcome import Outcome
from keyfob.errors import (
    ConfigError,
    DamagedLoginError,
    KeyfobError,
    LockedError,
    LostRenewalError,
    MissingCredentialError,
    NotSignedInError,
    RefusedError,
    RenewalError,
    StoreError,
    UnsupportedLoginError,
)
from keyfob.stores.file import FileStore
from keyfob.stores.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def answer(**fields: Any) -> Answer:
    return Answer(200, json.dumps(fields).encode())


def settled(world: World) -> bool:
    """Whether nothing is left of a renewal but the login."""
    names = {path.name for path in world.path.parent.iterdir()}
    return world.store.journal().intent is None and names <= {
        "auth.json",
        "auth.json.keyfob.lock",
        "auth.json.keyfob.journal",
    }


class TestLock:
    def test_it_is_renewed_and_all_other_fields_stay(self, world: World) -> None:
        """In their order."""
        assert world.renewed().token == "A2"
        assert list(world.disk.items())[:4] == [
            ("note", "kept"),
            ("account", "me"),
            ("access", "A2"),
            ("refresh", "R2"),
        ]
        assert world.issuer.presented == ["R1"]
        assert world.issuer.reasons == ["proactive_expiry"]
        assert settled(world)

    def test_what_somebody_else_renewed_meanwhile_is_adopted(self, world: World) -> None:
        """The record is read again under the lock."""
        known = world.record
        world.take_over()
        assert world.renewed(known=known).token == "A2"
        assert world.renewed(known=known, forced=True).token == "A2"
        assert world.issuer.presented == []

    def test_what_somebody_else_renewed_is_renewed_when_its_own_time_has_come(self, world: World) -> None:
        """By a caller who knows an older one, whatever it knows."""
        known = world.record
        world.take_over()
        world.now += LIFE
        assert world.renewed(known=known).token == "A3"
        assert world.renewed(known=known, forced=True).token == "A3"
        assert world.issuer.presented == ["R2"]

    def test_somebody_elses_login_is_not_renewed_for_this_caller(self, world: World) -> None:
        """It is returned as it is; the caller says what is wrong with it."""
        known = world.record
        world.sign_in(account="you")
        assert world.renewed(known=known).account == "you"
        assert world.issuer.presented == []

    def test_a_login_that_cannot_be_renewed_is_not(self, world: World) -> None:
        """Somebody has put an API key in its place."""
        known = world.record
        world.sign_in(refresh=None)
        assert world.renewed(known=known).secret is None
        assert world.issuer.presented == []

    def test_who_has_signed_out_meanwhile_is_signed_out(self, world: World) -> None:
        """The hint is the command that mends it."""
        known = world.record
        world.store.delete()
        with pytest.raises(NotSignedInError, match="corp: signed out meanwhile") as caught:
            world.renewed(known=known)
        assert caught.value.hint == "keyfob login corp --with-api-key"

    def test_what_was_staged_before_they_did_is_revoked(self, world: World) -> None:
        """And nothing of it stays."""
        known, answer = world.record, world.issuer.renewed("R1")
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(known.fingerprint, answer.body))
        world.path.unlink()
        with pytest.raises(NotSignedInError):
            world.renewed(known=known)
        assert (world.issuer.revoked, world.store.stage()) == (["R2"], None)

    @pytest.mark.parametrize("own", [False, True])
    def test_unless_nobody_knows_for_which_origin_that_is(self, world: World, *, own: bool) -> None:
        """Then it stays for signing out to tell of; what succeeds the login that the caller has is for its origin."""
        world.shared, known = False, world.record
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(known.fingerprint if own else OTHER, world.issuer.renewed("R1").body))
        world.path.unlink()
        with pytest.raises(NotSignedInError):
            world.renewed(known=known)
        assert (world.issuer.revoked, world.store.stage() is None) == (["R2"] if own else [], own)

    @pytest.mark.parametrize("sent", [False, True])
    def test_nothing_is_spent_where_other_programs_locks_cannot_be_had(
        self, world: World, tmp_path: Path, *, sent: bool
    ) -> None:
        """What came of it could not be written."""
        if sent:
            world.store.note(Journal(intent=Intent(world.record.fingerprint, sent=True)))
        (tmp_path / "theirs").mkdir()
        world.store = FileStore(str(world.path), writers=[(str(tmp_path / "theirs"), 0o600)])
        for _ in range(2):
            with pytest.raises(StoreError, match="no lock can be taken on"):
                world.renewed()
        assert world.issuer.presented == []

    def test_what_is_damaged_is_neither_renewed_nor_overwritten(self, world: World) -> None:
        """It is for the user to say what happens to it."""
        known = world.record
        world.path.write_text("{")
        with pytest.raises(DamagedLoginError):
            world.renewed(known=known)
        assert world.path.read_text() == "{"
        assert world.issuer.presented == []

    def test_unless_it_is_to_wait_a_lock_that_is_held_is_an_error_at_once(self, world: World) -> None:
        """It names the holder."""
        with FileStore(str(world.path)).lock(), pytest.raises(LockedError, match="held by process"):
            world.renewal().run(world.record, wait=False)
        assert world.issuer.presented == []

    def test_a_renewal_that_needs_itself_is_an_error(self, world: World) -> None:
        """Not a wait for ever."""
        errors: list[KeyfobError] = []

        def nested(_: str) -> None:
            with pytest.raises(RenewalError, match="would need this very login") as caught:
                world.renewed()
            errors.append(caught.value)

        world.issuer.answers = [nested]
        assert world.renewed().token == "A2"
        assert len(errors) == 1
        assert world.renewed(forced=True).token == "A2"  # nothing is left of it


class TestPreflight:
    def test_nothing_is_sent_where_the_answer_could_not_be_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error names the obstacle."""

        def prepare(_: object) -> None:
            raise StoreError("no room")

        monkeypatch.setattr(world.store, "prepare", prepare)
        with pytest.raises(StoreError, match="no room"):
            world.renewed()
        assert world.issuer.presented == []
        assert world.store.journal().intent is None

    def test_nor_a_second_time(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interrupted renewal waits until there is room."""
        intent = Intent(world.record.fingerprint, sent=True)
        world.store.note(Journal(intent))

        def prepare(_: object) -> None:
            raise StoreError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "prepare", prepare)
            with pytest.raises(StoreError, match="no room"):
                world.renewed()
        assert world.store.journal().intent == intent
        assert world.renewed().token == "A2"

    def test_the_intent_is_noted_before_the_secret_goes_out(self, world: World) -> None:
        """With no part of it."""
        fingerprint, seen = world.record.fingerprint, []

        def look(_: str) -> None:
            seen.append(world.store.journal().intent)
            assert b"R1" not in world.path.with_name("auth.json.keyfob.journal").read_bytes()

        world.issuer.answers = [look]
        world.renewed()
        assert seen == [Intent(fingerprint, sent=True, at=world.now)]

    def test_a_plugin_that_cannot_ask_spends_nothing(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its client secret is missing, for instance."""

        def exchange(*_: object) -> None:
            raise MissingCredentialError("SECRET is not set")

        with monkeypatch.context() as patch:
            patch.setattr(world.logins, "exchange", exchange)
            with pytest.raises(MissingCredentialError):
                world.renewed()
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]


class TestAmbiguous:
    def test_an_answer_that_got_lost_is_asked_for_once_more_at_once(self, world: World) -> None:
        """If the secret was not spent, that works."""
        world.issuer.answers = [UnansweredError("reset")]
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1", "R1"]
        assert settled(world)

    def test_a_second_one_is_the_end(self, world: World) -> None:
        """It is said in plain words, and not tried a third time by anybody."""
        world.issuer.answers = [(UnansweredError("reset"),), UnansweredError("reset")]
        message = r"corp: the renewal of this login was interrupted at 1970-01-12T13:46:40Z, its answer is lost"
        for _ in range(3):
            with pytest.raises(LostRenewalError, match=message) as caught:
                world.renewed()
        assert caught.value.hint == "keyfob login corp --with-api-key"
        assert world.issuer.presented == ["R1", "R1"]
        assert settled(world)

    def test_a_second_one_that_settles_nothing_is_tried_again_after_the_back_off(self, world: World) -> None:
        """It stays the second one, and the wait doubles as with any failure."""
        world.issuer.answers = [(UnansweredError("reset"),), *[Answer(503, b"")] * 3]
        for wait in (1, 2, 4):
            for _ in range(2):
                with pytest.raises(RenewalError, match="answered 503"):
                    world.renewed()
            world.now += wait
        with pytest.raises(LostRenewalError):  # it was spent the first time
            world.renewed()
        assert world.issuer.presented == ["R1"] * 5

    def test_so_is_a_refusal_of_the_second_presentation(self, world: World) -> None:
        """The first one was heard, and its answer is gone."""
        world.issuer.answers = [(UnansweredError("reset"),)]
        with pytest.raises(LostRenewalError):
            world.renewed()
        assert world.issuer.presented == ["R1", "R1"]

    def test_unless_another_program_has_the_successor(self, world: World) -> None:
        """It is looked for, for 2 seconds."""
        world.issuer.answers = [UnansweredError("reset"), UnansweredError("reset")]
        world.meanwhile = once(world.take_over)
        assert world.renewed().token == "A2"
        assert settled(world)

    @pytest.mark.parametrize("failure", [UnreachableError("down"), Answer(503, b"")])
    def test_a_second_presentation_that_came_to_nothing_is_still_due(self, world: World, failure: Any) -> None:
        """After the time to wait, which others heed too."""
        world.issuer.answers = [UnansweredError("reset"), failure]
        for _ in range(3):
            with pytest.raises(RenewalError, match="could not be renewed"):
                world.renewed()
        assert world.issuer.presented == ["R1", "R1"]
        world.now += 1
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1", "R1", "R1"]

    def test_a_configuration_that_cannot_be_used_is_no_presentation(self, world: World) -> None:
        """However often that happens, it ends no login."""
        world.issuer.answers = [UnansweredError("reset"), ConfigError("SSL_CERT_FILE")] + [ConfigError("x")] * 3
        for _ in range(4):
            with pytest.raises(ConfigError):
                world.renewed()
        assert world.renewed().token == "A2"


class TestTransient:
    def test_another_provider_that_shares_the_login_hears_of_it_by_its_own_name(self, world: World) -> None:
        """What is noted names nobody."""
        world.issuer.answers = [Answer(503, b"")]
        with pytest.raises(RenewalError, match=r"^corp: "):
            world.renewed()
        other = world.renewal()
        other.provider = "other"
        with pytest.raises(RenewalError, match=r"^other: the login could not be renewed"):
            other.run(world.record)

    @pytest.mark.parametrize(
        ("reply", "what"),
        [
            (Answer(401, b"<html>portal</html>"), "issuer.example answered 401"),
            (Answer(400, b'{"error": "something_else"}'), "issuer.example answered 400"),
            (Answer(403, b"{}"), "answered 403"),
            (Answer(407, b"{}"), "answered 407"),
            (Answer(302, b""), "answered 302"),
            (Answer(500, REFUSED.body[:-1]), "answered 500"),
            (Answer(200, b"<html>portal</html>"), "answered 200 without a login"),
            (answer(), "answered 200 without a login"),
            (answer(id_token="x"), "answered 200 without a login"),
            (answer(access=5, refresh="R2"), "answered 200 without a login"),
            (answer(access="A2", refresh=""), "answered 200 without a login"),
            (answer(access="A2", refresh=5), "answered 200 without a login"),
            (answer(access="A2", expires_at="soon"), "answered 200 without a login"),
            (UnreachableError("issuer.example cannot be reached"), "cannot be reached"),
        ],
    )
    def test_what_may_pass_is_adopted_by_all_and_tried_again_after_a_while(
        self, world: World, reply: Any, what: str
    ) -> None:
        """Another process that waits for the same does not try at once."""
        world.issuer.answers = [reply]
        for _ in range(3):
            with pytest.raises(RenewalError, match=f"^corp: the login could not be renewed: .*{what}$") as caught:
                world.renewed()
            assert type(caught.value) is RenewalError
        assert world.issuer.presented == ["R1"]
        world.now += 1
        assert world.renewed().token == "A2"
        assert world.store.journal().outcome is None

    @pytest.mark.parametrize("refusal", [KeyError("canary"), MissingCredentialError("canary"), 5, ""])
    def test_a_plugin_that_breaks_on_an_error_of_its_issuer_costs_no_login(
        self, world: World, monkeypatch: pytest.MonkeyPatch, refusal: Any
    ) -> None:
        """However often: the secret was presented, and the answer may pass."""

        def broken(_: Answer) -> Any:
            if isinstance(refusal, Exception):
                raise refusal
            return refusal

        monkeypatch.setattr(world.logins, "refusal", broken)
        for _ in range(4):
            world.issuer.answers = [Answer(503, b"<html>")]
            for _ in range(2):
                with pytest.raises(RenewalError, match=r"answered 503$"):
                    world.renewed()
            world.now += 60
        assert world.issuer.presented == ["R1"] * 4
        assert world.renewed().token == "A2"

    def test_an_answer_that_its_plugin_breaks_on_leaves_the_login_as_it_was(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A start finds it staged, breaks on it as before, and asks again."""

        def absorb(*_: object) -> None:
            raise AttributeError("'int' object has no attribute 'strip'")

        before = world.disk
        with monkeypatch.context() as patch:
            patch.setattr(world.logins, "absorb", absorb)
            with pytest.raises(RenewalError, match="answered 200 without a login"):
                world.renewed()
            assert (world.disk, world.login().latest(world.store)) == (before, before)
            world.now, world.issuer.answers = world.now + 1, [Answer(503, b"")]
            with pytest.raises(RenewalError, match="answered 503"):
                world.renewed()
        assert world.issuer.presented == ["R1", "R1"]

    def test_what_renews_a_login_is_kept_though_its_token_cannot_be_sent(self, world: World) -> None:
        """An answer that fails a judgement but holds a refresh token has been saved."""
        world.issuer.answers = [answer(access="A2\n", refresh="R2")]
        world.renewed()
        assert world.disk["refresh"] == "R2"

    def test_one_that_is_sound_and_of_no_use_here_is_kept(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The secret in it is the only one that is left."""

        def read(data: Any) -> Any:
            if data["access"] != "A1":
                raise UnsupportedLoginError("another kind")
            return Logins.read(world.logins, data)

        monkeypatch.setattr(world.logins, "read", read)
        with pytest.raises(UnsupportedLoginError):
            world.renewed()
        assert world.disk["refresh"] == "R2"

    def test_each_failure_doubles_the_wait_up_to_a_minute(self, world: World) -> None:
        """A success begins anew."""
        waits = []
        for _ in range(9):
            world.issuer.answers = [Answer(500, b"")]
            with pytest.raises(RenewalError):
                world.renewed()
            outcome = world.store.journal().outcome
            assert outcome is not None
            waits.append(outcome.not_before - world.now)
            world.now = outcome.not_before
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    @pytest.mark.parametrize(("retry_after", "wait"), [(30.0, 30.0), (0.0, 1.0), (86_400.0, 600.0)])
    def test_retry_after_is_heeded_within_reason(self, world: World, retry_after: float, wait: float) -> None:
        """Not less than the ordinary time, and not more than 10 minutes."""
        world.issuer.answers = [Answer(429, b"", retry_after=retry_after)]
        with pytest.raises(RenewalError):
            world.renewed()
        world.now += wait - 0.01
        with pytest.raises(RenewalError):
            world.renewed()
        world.now += 0.02
        assert world.renewed().token == "A2"
        assert len(world.issuer.presented) == 2

    def test_a_time_to_wait_of_a_wrong_clock_is_ignored(self, world: World) -> None:
        """It lies more than 10 minutes ahead."""
        outcome = Outcome(world.record.fingerprint, "status-500", "down", 0.0, not_before=world.now + 601)
        world.store.note(Journal(outcome=outcome))
        assert world.renewed().token == "A2"

    def test_of_another_state_of_the_login_it_says_nothing(self, world: World) -> None:
        """Somebody has signed in again."""
        world.issuer.answers = [REFUSED]
        with pytest.raises(RefusedError):
            world.renewed()
        world.issuer.current = {"R7"}
        world.sign_in(refresh="R7")
        assert world.renewed().token == "A2"

    def test_a_client_that_is_not_known_is_a_fault_of_the_configuration(self, world: World) -> None:
        """Which others adopt for a while; the login is not lost by it."""
        world.issuer.answers = [Answer(401, b'{"error": "invalid_client"}')]
        for _ in range(3):
            with pytest.raises(ConfigError, match="does not know the client"):
                world.renewed()
        assert world.issuer.presented == ["R1"]
        world.now += 1
        assert world.renewed().token == "A2"


def once(do: Callable[[], None]) -> Callable[[], None]:
    """Do it the first time."""
    left = [do]

    def call() -> None:
        if left:
            left.pop()()

    return call


class TestPermanent:
    def test_a_refusal_is_believed_after_a_second_look(self, world: World) -> None:
        """Then it holds: nobody asks again."""
        begun = world.now
        world.issuer.answers = [REFUSED]
        for _ in range(3):
            with pytest.raises(RefusedError, match=r"refused to renew the login \(invalid_grant\)$") as caught:
                world.renewed()
        assert caught.value.hint == "keyfob login corp --with-api-key"
        assert world.now == pytest.approx(begun + 2)
        assert world.issuer.presented == ["R1"]
        assert settled(world)

    def test_what_another_program_commits_meanwhile_is_adopted(self, world: World) -> None:
        """It spent the secret, and needs a moment to write what it got."""
        world.issuer.answers = [lambda _: (world.issuer.renewed("R1"), REFUSED)[1]]
        world.meanwhile = once(lambda: world.store.write({**world.disk, "access": "A2", "refresh": "R2"}))
        assert world.renewed().token == "A2"
        assert world.store.journal().outcome is None

    def test_a_file_that_is_just_being_written_does_not_end_the_second_look(self, world: World) -> None:
        """Half of it is on disk."""
        whole = world.path.read_text().replace("R1", "R2")
        steps = iter([whole[:20], whole])
        world.issuer.answers = [REFUSED]
        world.meanwhile = lambda: None if (text := next(steps, None)) is None else void(world.path.write_text(text))
        assert world.renewed().secret == "R2"

    def test_who_signs_out_meanwhile_is_signed_out(self, world: World) -> None:
        """That is what is said."""
        world.issuer.answers = [REFUSED]
        world.meanwhile = once(lambda: void(world.store.delete()))
        with pytest.raises(NotSignedInError):
            world.renewed()

    def test_one_that_was_killed_in_the_second_look_is_not_presented_again(self, world: World) -> None:
        """What the issuer said is known."""

        def killed() -> None:
            raise KeyboardInterrupt

        world.issuer.answers = [REFUSED]
        world.meanwhile = killed
        with pytest.raises(KeyboardInterrupt):
            world.renewed()
        world.meanwhile = lambda: None
        with pytest.raises(RefusedError, match="invalid_grant"):
            world.renewed()
        assert world.issuer.presented == ["R1"]


def void(_: object) -> None:
    """Drop a result."""


class TestCommit:
    def test_an_answer_without_a_refresh_token_keeps_the_one_that_is_there(self, world: World) -> None:
        """The issuer does not rotate."""
        world.issuer.answers = [answer(access="A2", expires_at=world.now + 3600)]
        assert world.renewed().token == "A2"
        assert world.disk["refresh"] == "R1"

    def test_an_answer_with_nothing_but_a_refresh_token_is_kept(self, world: World) -> None:
        """The next renewal presents it."""
        world.issuer.answers = [answer(refresh="R9")]
        world.renewed()
        assert world.disk["refresh"] == "R9"

    def test_one_that_was_expired_when_it_came_is_saved_and_not_renewed_for_a_minute(self, world: World) -> None:
        """No issuer is asked again and again by that."""
        world.issuer.life = -5
        assert world.renewed().secret == "R2"
        for _ in range(3):
            with pytest.raises(RenewalError, match="a login that had already expired"):
                world.renewed()
        assert world.issuer.presented == ["R1"]
        world.now += 60
        world.issuer.life = LIFE
        assert world.renewed().token == "A3"

    @pytest.mark.parametrize(("ahead", "believed"), [(3600.0, True), (90_000.0, False)])
    def test_where_the_clock_is_ahead_of_the_issuers_that_is_noted(
        self, world: World, ahead: float, *, believed: bool
    ) -> None:
        """By the date of its answer, within reason; the login is good for its own time."""
        true = world.now - ahead
        fields = json.dumps({"access": "A2", "refresh": "R2", "expires_at": true + 600, "issued_at": world.now})
        world.issuer.answers = [Answer(200, fields.encode(), date=true)]
        assert world.renewed().token == "A2"
        skew = world.store.journal().skew
        assert (skew is not None and skew.seconds == ahead) is believed
        world.issuer.current = {"R2"}
        if believed:
            assert world.renewed().token == "A2"
            world.now += 600
            assert world.renewed().secret == "R2"
            assert world.issuer.presented == ["R1", "R2"]

    def test_what_another_program_has_written_meanwhile_counts(self, world: World) -> None:
        """Ours is neither written nor revoked: that may end the whole family."""

        def meanwhile(secret: str) -> Answer:
            got = world.issuer.renewed(secret)
            world.sign_in(account="you", access="A9", refresh="R9")
            return got

        world.issuer.answers = [meanwhile]
        assert world.renewed().token == "A9"
        assert world.disk["refresh"] == "R9"
        assert world.issuer.revoked == []
        assert settled(world)
        assert world.store.journal() == Journal()

    def test_other_fields_that_were_written_meanwhile_stay(self, world: World) -> None:
        """They are merged with what the issuer sent."""

        def meanwhile(secret: str) -> Answer:
            world.store.write({**world.disk, "note": "new"})
            return world.issuer.renewed(secret)

        world.issuer.answers = [meanwhile]
        assert world.renewed().token == "A2"
        assert world.disk["note"] == "new"

    def test_it_is_read_again_and_written_under_the_locks_of_other_programs(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which are not held while the issuer is asked: Codex gives up after 5 seconds."""
        path, held = str(tmp_path / "auth.lock"), []
        store = world.store = FileStore(str(world.path), writers=[(path, 0o644)])

        def look() -> None:
            try:
                with locked(path, wait=0):
                    held.append(False)
            except LockedError:
                held.append(True)

        write, read = store.write, store.read
        monkeypatch.setattr(store, "read", lambda: (look(), read())[1])
        monkeypatch.setattr(store, "write", lambda data: (look(), write(data))[1])
        world.issuer.answers = [lambda _: look()]
        world.renewed()
        assert held == [False, False, False, True, True, True]

    def test_another_access_token_for_the_same_refresh_token_does_not_cost_its_successor(self, world: World) -> None:
        """What was spent is on disk: what it was spent for has to take its place."""

        def meanwhile(secret: str) -> Answer:
            world.store.write({**world.disk, "access": "A7"})
            return world.issuer.renewed(secret)

        world.issuer.answers = [meanwhile]
        world.renewed()
        assert world.disk["refresh"] == "R2"

    @pytest.mark.parametrize("problem", [None, UnreachableError("down"), ConfigError("proxy")])
    def test_who_signs_out_meanwhile_stays_signed_out(
        self, world: World, monkeypatch: pytest.MonkeyPatch, problem: Exception | None
    ) -> None:
        """What came of the renewal is revoked, if that can be done, and nothing is left of it."""
        known, send = world.record, world.issuer.send

        def meanwhile(secret: str) -> Answer:
            got = world.issuer.renewed(secret)
            world.store.delete()
            return got

        def failing(exchange: Any) -> Answer:
            if problem and exchange.url.endswith("/revoke"):
                raise problem
            return send(exchange)

        world.issuer.answers = [meanwhile]
        monkeypatch.setattr(world.issuer, "send", failing)
        with pytest.raises(NotSignedInError):
            world.renewed(known=known)
        assert world.issuer.revoked == ([] if problem else ["R2"])
        assert {path.name for path in world.path.parent.iterdir()} == {"auth.json.keyfob.lock"}

    def test_what_its_plugin_cannot_revoke_then_does_not_stay_either(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing more can be done."""

        def revocation(_: object) -> None:
            raise KeyError("canary")

        def meanwhile(secret: str) -> Answer:
            world.path.unlink()
            return world.issuer.renewed(secret)

        monkeypatch.setattr(world.logins, "revocation", revocation)
        world.issuer.answers = [meanwhile]
        with pytest.raises(NotSignedInError):
            world.renewed()
        assert {path.name for path in world.path.parent.iterdir()} == {"auth.json.keyfob.lock"}

    def test_a_stage_that_cannot_be_written_does_not_cost_the_login(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The record's own place may still do."""

        def put_stage(_: Stage) -> None:
            raise StoreError("no room")

        monkeypatch.setattr(world.store, "put_stage", put_stage)
        assert world.renewed().token == "A2"
        assert world.disk["refresh"] == "R2"

    def test_a_record_that_cannot_be_written_costs_nothing_either(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The stage is there when it can be."""

        def write(_: object) -> None:
            raise StoreError("read-only")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "write", write)
            for _ in range(3):
                with pytest.raises(StoreError, match="read-only"):
                    world.renewed()
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]
        assert settled(world)

    def test_when_it_was_forced_is_remembered(self, world: World) -> None:
        """For 10 minutes nobody has it renewed for a 401."""
        world.sign_in(expires_in=LIFE)
        assert world.renewed(forced=True).token == "A2"
        assert world.issuer.reasons == ["unauthorized_recovery"]
        world.now += 599
        assert world.renewed(forced=True).token == "A2"
        world.now += 1
        assert world.renewed(forced=True).token == "A3"

    def test_a_forced_one_that_was_never_sent_does_not_count(self, world: World) -> None:
        """The issuer could not be reached."""
        world.sign_in(expires_in=LIFE)
        world.issuer.answers = [UnreachableError("down")]
        with pytest.raises(RenewalError):
            world.renewed(forced=True)
        world.now += 1
        assert world.renewed(forced=True).token == "A2"

    def test_a_forced_one_that_was_killed_before_it_was_sent_does_not_count(self, world: World) -> None:
        """Nor does what it left."""
        world.sign_in(expires_in=LIFE)
        world.store.note(Journal(Intent(world.record.fingerprint)))
        assert world.renewed(forced=True).token == "A2"
        assert world.issuer.presented == ["R1"]


STAGED = b'{"access": "A2", "refresh": "R2", "expires_at": 1036000.0, "issued_at": 1000000.0}'
OTHER = "0" * 32


class TestTable:
    """What a start finds under the lock: intent, stage and the token on disk."""

    @pytest.mark.parametrize("sent", [False, True])
    @pytest.mark.parametrize("stage", [None, Stage(OTHER, STAGED)])
    def test_what_is_of_another_login_is_finished(self, world: World, stage: Stage | None, *, sent: bool) -> None:
        """Both are deleted, and the login on disk counts."""
        self.leave(world, Intent(OTHER, sent=sent), stage)
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]
        assert settled(world)

    @pytest.mark.parametrize(
        "intent", [None, Intent(OTHER), *[Intent("", n, sent=sent) for n, sent in [(1, False), (1, True), (2, True)]]]
    )
    def test_a_stage_of_the_login_on_disk_is_rolled_forward(self, world: World, intent: Intent | None) -> None:
        """Without asking anybody, whatever the intent says: also when the journal is damaged."""
        own = world.record.fingerprint
        self.leave(
            world, intent and (intent if intent.fingerprint else Intent(own, intent.attempt, intent.sent)), STAGED
        )
        assert world.renewed().token == "A2"
        assert world.issuer.presented == []
        assert settled(world)

    def test_also_for_a_login_that_is_still_good(self, world: World) -> None:
        """Its secret is spent."""
        world.sign_in(expires_in=LIFE)
        self.leave(world, Intent(world.record.fingerprint, sent=True), STAGED)
        assert world.renewed().token == "A2"
        assert world.issuer.presented == []

    def test_one_that_was_never_sent_is_cleared(self, world: World) -> None:
        """And renewed normally."""
        self.leave(world, Intent(world.record.fingerprint), None)
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]

    @pytest.mark.parametrize("stage", [None, Stage(OTHER, STAGED), b"<html>", b'{"access": 5', b"null"])
    def test_one_that_was_sent_is_presented_once_more(self, world: World, stage: Any) -> None:
        """A stage of another login, or one that holds none, is as good as none."""
        self.leave(world, Intent(world.record.fingerprint, sent=True), stage)
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]
        assert settled(world)

    def test_then_it_may_turn_out_to_be_spent(self, world: World) -> None:
        """The answer is lost, and that is said; nobody tries again."""
        world.issuer.renewed("R1")
        self.leave(world, Intent(world.record.fingerprint, sent=True, at=world.now - 60), None)
        for _ in range(2):
            with pytest.raises(LostRenewalError, match="interrupted at 1970-01-12T13:45:40Z"):
                world.renewed()
        assert world.issuer.presented == ["R1"]

    def test_no_secret_is_presented_a_third_time(self, world: World) -> None:
        """It is looked for a successor, then the login is lost."""
        self.leave(world, Intent(world.record.fingerprint, 2, sent=True, at=world.now - 60), None)
        for _ in range(2):
            with pytest.raises(LostRenewalError, match="interrupted at 1970-01-12T13:45:40Z"):
                world.renewed()
        assert world.issuer.presented == []
        assert settled(world)

    def test_unless_another_program_has_written_one(self, world: World) -> None:
        """Within 2 seconds."""
        self.leave(world, Intent(world.record.fingerprint, 2, sent=True), None)
        world.meanwhile = once(world.take_over)
        assert world.renewed().token == "A2"
        assert world.issuer.presented == []
        assert settled(world)

    def test_a_stage_that_was_cut_off_is_none(self, world: World) -> None:
        """It never became whole, so it may not be counted on."""
        self.leave(world, Intent(world.record.fingerprint, sent=True), STAGED)
        path = world.path.with_name("auth.json.keyfob.stage")
        path.write_bytes(path.read_bytes()[:-1])
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]

    def test_a_damaged_journal_is_none(self, world: World) -> None:
        """The login is not damaged by it."""
        self.leave(world, Intent(world.record.fingerprint, sent=True), None)
        world.path.with_name("auth.json.keyfob.journal").write_bytes(b"\x00")
        assert world.renewed().token == "A2"

    def test_times_from_the_future_change_nothing(self, world: World) -> None:
        """They are of a clock that was wrong."""
        self.leave(world, Intent(world.record.fingerprint, sent=True, at=world.now + 1e6), None)
        assert world.renewed().token == "A2"
        assert settled(world)

    def leave(self, world: World, intent: Intent | None, stage: Stage | bytes | None) -> None:
        """What a process left that was killed."""
        if stage is not None:
            world.store.prepare(world.disk)
            world.store.put_stage(
                stage if isinstance(stage, Stage) else Stage(world.record.fingerprint, stage, world.now)
            )
        world.store.note(Journal(intent))


class Killed(BaseException):
    """What a kill looks like from inside, as far as it can be had without one."""


class Doomed:
    """A store whose process is killed before or after its k-th change."""

    def __init__(self, store: Any, left: int, *, after: bool) -> None:
        self._store, self.left, self.after = store, left, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("prepare", "note", "put_stage", "write", "drop_stage"):
            return found

        def step(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            result = found(*arguments)
            if self.left == 0:
                raise Killed
            return result

        return step


class TestKilled:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("step", range(1, 8))
    def test_killed_at_any_change_the_next_start_goes_on(self, world: World, step: int, *, after: bool) -> None:
        """The login works afterwards, unless it was killed between sending and staging, and then that is said."""
        doomed: Any = Doomed(world.store, step, after=after)
        with pytest.raises(Killed):
            world.renewed(store=doomed)
        if step == 4 and not after:  # sent, and not staged
            with pytest.raises(LostRenewalError):
                world.renewed()
            assert world.issuer.presented == ["R1", "R1"]
            return
        assert world.renewed().token == "A2"
        assert world.issuer.presented == ["R1"]
        assert world.disk["refresh"] in world.issuer.current
        assert world.disk["note"] == "kept"
        assert settled(world)

    def test_these_are_all_the_changes(self, world: World) -> None:
        """Prepare, intent, sent, stage, record, stage gone, intent gone."""
        doomed: Any = Doomed(world.store, 100, after=False)
        world.renewed(store=doomed)
        assert 100 - doomed.left == 7
