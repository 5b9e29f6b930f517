"""Signing in and out, as the library does it: what is judged first, what is told, and what goes when."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.credentials.worlds import World

from keyfob.credentials.ending import remove_carried, sign_out
from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError, told
from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.credentials.saving import save
from keyfob.errors import (
    DamagedLoginError,
    ExpiredSignInError,
    IllegalHeaderError,
    LockedError,
    MissingCredentialError,
    NotSignedInError,
    OtherOriginError,
    PolicyError,
    PortError,
    SignInError,
    StoreError,
)
from keyfob.stores.file import FileStore

if TYPE_CHECKING:
    from pathlib import Path

NEW = {"access": "A9", "refresh": "R9"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """One login of a plugin's own, bound to an origin."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    world = World(tmp_path, shared=False)
    world.sign_in(origin="https://corp.example")
    return world


class TestSave:
    """Signing in."""

    def test_it_replaces_the_login_and_what_was_known_of_its_renewals(self, world: World) -> None:
        """The old journal and stage tell of a login that is gone."""
        world.store.note(Journal(intent=Intent(world.record.fingerprint, sent=True)))
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(world.record.fingerprint, b"{}"))
        old = world.disk
        saved = save(world.login(), NEW)
        assert (saved.record.token, saved.replaced) == ("A9", old)
        assert world.disk == NEW
        assert (world.store.journal(), world.store.stage()) == (Journal(), None)
        assert not world.issuer.revoked

    def test_it_is_bound_to_the_origin(self, own: World) -> None:
        """In the record itself, before the plugin's fields."""
        save(own.login(), NEW)
        assert list(own.disk.items()) == [("origin", "https://corp.example"), *NEW.items()]

    @pytest.mark.parametrize(
        ("data", "kind"),
        [({"refresh": "R9"}, DamagedLoginError), ({"access": "A\n9"}, IllegalHeaderError), (NEW, PolicyError)],
    )
    def test_what_is_no_good_changes_nothing(self, world: World, data: dict[str, str], kind: type[Exception]) -> None:
        """What cannot be read, cannot be sent, or is forbidden."""
        if kind is PolicyError:
            world.forbidden = PolicyError("no")
        before = world.path.read_bytes()
        with pytest.raises(kind):
            save(world.login(), data)
        assert world.path.read_bytes() == before

    def test_what_is_damaged_names_the_command_that_replaces_it(self, world: World) -> None:
        """With the provider and the method."""
        for text in ("{", "{}"):
            world.path.write_text(text)
            for read in (world.login().stored, world.renewal().current):
                with pytest.raises(DamagedLoginError) as caught:
                    read()
                assert str(caught.value.hint).endswith("keyfob login corp --with-api-key --replace")

    def test_a_damaged_login_takes_a_word(self, world: World) -> None:
        """Else it stays as it is."""
        world.path.write_text("{")
        with pytest.raises(DamagedLoginError):
            save(world.login(), NEW)
        assert world.path.read_text() == "{"
        save(world.login(), NEW, replace_damaged=True)
        assert world.disk == NEW

    def test_it_waits_for_a_renewal(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """And writes nothing while another process holds the lock."""
        monkeypatch.setattr("keyfob.stores.sidecar.DEADLINE", 0.01)
        with world.store.lock(), pytest.raises(LockedError):
            save(world.login(), NEW)
        assert world.disk["access"] == "A1"


class TestRemove:
    """Signing out."""

    def test_the_login_is_revoked_and_removed(self, world: World) -> None:
        """With all that lies beside it, but for the lock."""
        world.store.note(Journal(forced_at=1.0))
        done = sign_out(world.login(), [world.store])
        assert (done.removed, done.failed, done.still_valid) == ((str(world.path),), (), ())
        assert world.issuer.revoked == ["R1"]
        assert [path.name for path in world.path.parent.iterdir() if not path.name.endswith(".lock")] == []

    def test_without_revoking_nobody_is_told(self, world: World) -> None:
        """It may be in use elsewhere."""
        assert sign_out(world.login(), [world.store], revoke=False).removed
        assert not world.issuer.revoked

    def test_the_successor_that_is_only_staged_is_revoked(self, world: World) -> None:
        """The token in the record was spent for it."""
        answer = world.issuer.renewed("R1")
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(world.record.fingerprint, answer.body))
        sign_out(world.login(), [world.store])
        assert world.issuer.revoked == ["R2"]

    def test_the_successor_is_revoked_where_the_record_is_gone(self, world: World) -> None:
        """Somebody signed out elsewhere after a renewal was killed: its answer is the login that lives."""
        self.orphan(world)
        done = sign_out(world.login(), [world.store])
        assert (done.removed, done.still_valid, world.issuer.revoked) == ((world.store.place,), (), ["R2"])
        assert world.store.stage() is None

    def test_unless_nobody_knows_for_which_origin_it_is(self, own: World) -> None:
        """Then it is told that it may still be valid."""
        self.orphan(own)
        done = sign_out(own.login(), [own.store])
        assert (done.removed, own.issuer.revoked) == ((own.store.place,), [])
        assert done.still_valid == (f"corp: {own.path} is gone, and what had renewed it names no origin",)

    @staticmethod
    def orphan(world: World) -> None:
        answer = world.issuer.renewed("R1")
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(world.record.fingerprint, answer.body))
        world.path.unlink()

    @pytest.mark.parametrize("body", [b"<html>", json.dumps({"access": "A2", "refresh": "R2"}).encode()])
    def test_a_stage_of_no_use_leaves_the_record_to_be_revoked(self, world: World, body: bytes) -> None:
        """One that holds no login, or is of another."""
        parent = world.record.fingerprint if body == b"<html>" else "another"
        world.store.prepare(world.disk)
        world.store.put_stage(Stage(parent, body))
        sign_out(world.login(), [world.store])
        assert world.issuer.revoked == ["R1"]

    @pytest.mark.parametrize(
        ("came", "said"),
        [
            (UnreachableError("refused"), "its issuer could not be told of it (refused)"),
            (UnansweredError("silent"), "its issuer could not be told of it (silent)"),
            (Answer(503, b"secret"), "its issuer answered 503"),
        ],
    )
    def test_an_issuer_that_fails_keeps_nothing_here(
        self, world: World, monkeypatch: pytest.MonkeyPatch, came: object, said: str
    ) -> None:
        """That the login may still be valid is told."""

        def send(_: object) -> object:
            if isinstance(came, Exception):
                raise came
            return came

        monkeypatch.setattr(world.issuer, "send", send)
        done = sign_out(world.login(), [world.store])
        assert (done.still_valid, world.path.exists()) == ((said,), False)

    @pytest.mark.parametrize("breaks", ["read", "revocation"])
    def test_a_plugin_that_breaks_keeps_nobody_from_signing_out(
        self, world: World, monkeypatch: pytest.MonkeyPatch, breaks: str
    ) -> None:
        """What it broke with is told, and nothing of its text."""

        def broken(_: object) -> None:
            raise KeyError("canary")

        world.store.prepare(world.disk)
        world.store.put_stage(Stage("another", b"{}"))  # whether it is of this login, reading it tells
        monkeypatch.setattr(world.logins, breaks, broken)
        done = sign_out(world.login(), [world.store])
        assert (done.still_valid, world.path.exists()) == (("its auth plugin broke: KeyError",), False)

    def test_a_record_that_stays_keeps_its_successor(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder is read-only, for instance: what an issuer has answered is all that lives of that login."""

        def drop_record() -> bool:
            raise StoreError("read-only")

        stage = Stage(world.record.fingerprint, world.issuer.renewed("R1").body)
        world.store.prepare(world.disk)
        world.store.put_stage(stage)
        monkeypatch.setattr(world.store, "drop_record", drop_record)
        assert sign_out(world.login(), [world.store], revoke=False).failed
        assert remove_carried(world.login(), world.record, [world.store]).failed
        assert world.store.stage() == stage

    def test_the_issuer_of_another_origin_is_not_told(self, own: World) -> None:
        """The configuration names another one now, and that must not get this login's token."""
        own.sign_in(origin="https://other.example")
        done = sign_out(own.login(), [own.store])
        assert (own.issuer.revoked, own.path.exists()) == ([], False)
        assert "was stored for https://other.example" in done.still_valid[0]

    def test_of_a_damaged_login_nobody_can_be_told(self, world: World) -> None:
        """It is removed, and that is said."""
        world.path.write_text("{")
        done = sign_out(world.login(), [world.store])
        assert (len(done.removed), len(done.still_valid)) == (1, 1)

    def test_where_nothing_is_nothing_is_done(self, tmp_path: Path, world: World) -> None:
        """Not even a lock is made."""
        empty = FileStore(str(tmp_path / "elsewhere" / "x.json"))
        assert sign_out(world.login(), [empty]).removed == ()
        assert not (tmp_path / "elsewhere").exists()

    def test_it_waits_for_a_renewal(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A place that stays locked is told, not raised."""
        monkeypatch.setattr("keyfob.stores.sidecar.DEADLINE", 0.01)
        with world.store.lock():
            done = sign_out(world.login(), [world.store])
        assert [type(error) for error in done.failed] == [LockedError]
        assert (world.path.exists(), world.issuer.revoked) == (True, [])


class TestMissing:
    """What is said where there is no login."""

    def test_somebody_who_could_sign_in_is_told_how(self, world: World) -> None:
        """With the command."""
        error = world.login().missing()
        assert (type(error), error.hint) == (NotSignedInError, "keyfob login corp --with-api-key")

    def test_a_plugin_can_say_what_is_missing(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then both ways are named."""
        monkeypatch.setattr(world.logins, "missing", "there is no TOKEN", raising=False)
        error = world.login().missing()
        assert (type(error), str(error)) == (MissingCredentialError, "there is no TOKEN")
        assert error.hint == "export TOKEN=…, or keyfob login corp --with-api-key"

    @pytest.mark.parametrize("origin", ["https://other.example", "x\nsecret", "sk-secret", None, ["sk-secret"]])
    def test_a_login_for_another_origin_shows_only_an_origin(self, own: World, origin: object) -> None:
        """What stands in its place could be anything."""
        own.sign_in(origin=origin)
        with pytest.raises(OtherOriginError, match=r"not for https://corp\.example") as caught:
            own.login().stored()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "message", "hint"),
    [
        (ExpiredSignInError("nobody came"), ExpiredSignInError, "nobody came", "keyfob login corp"),
        (PortError("no port", hint="another way"), PortError, "no port", "another way"),
        (UnansweredError("no answer"), SignInError, "corp: no answer", "keyfob login corp"),
        (UnreachableError("no way"), SignInError, "corp: no way", "keyfob doctor"),
    ],
)
def test_a_sign_in_that_came_to_nothing_says_what_to_do(
    error: Exception, kind: type[SignInError], message: str, hint: str
) -> None:
    """What to run again, or what looks for the reason; a flow that knows better is not contradicted."""
    with pytest.raises(kind) as caught, told("corp", "keyfob login corp"):
        raise error
    assert (type(caught.value), str(caught.value), caught.value.hint) == (kind, message, hint)
