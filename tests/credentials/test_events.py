"""What is announced of logins: each that was stored, renewed, removed or refused for good; once, by whoever did it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.credentials.worlds import REFUSED, World

from keyfob.credentials.ending import remove_carried, remove_forbidden, sign_out
from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError
from keyfob.credentials.journal import Intent, Stage
from keyfob.credentials.saving import save
from keyfob.errors import (
    DamagedLoginError,
    LostRenewalError,
    NotSignedInError,
    PolicyError,
    RefusedError,
    RenewalError,
    StoreError,
)
from keyfob.stores.memory import MemoryStore


def told(world: World, kind: str, **about: Any) -> dict[str, Any]:
    """One event, with the place of its login."""
    return {"kind": kind, "place": str(world.path), **about}


class TestRenewal:
    def test_is_announced_by_whoever_made_it(self, world: World) -> None:
        """Whoever finds it done announces nothing, and neither does whoever needs none."""
        old = world.record
        world.renewed()
        world.renewed(known=old)
        world.renewed()
        assert world.announced == [told(world, "renewal", account="me")]

    def test_is_not_where_another_program_was_first(self, world: World) -> None:
        """What Codex stored while the issuer was asked is what counts."""

        def late(_: str) -> Answer:
            world.take_over()
            return Answer(200, b'{"access": "A9", "refresh": "R9"}')

        world.issuer.answers = [late]
        assert world.renewed().token == "A2"
        assert world.announced == []

    def test_is_by_whoever_finishes_it(self, world: World) -> None:
        """One that was killed with its answer staged has announced nothing."""
        record = world.record
        world.store.note(replace(world.store.journal(), intent=Intent(record.fingerprint, sent=True)))
        world.store.prepare(record.data)
        world.store.put_stage(Stage(record.fingerprint, world.issuer.renewed("R1").body, world.now))
        world.renewed()
        assert world.announced == [told(world, "renewal", account="me")]

    @pytest.mark.parametrize("answer", [Answer(503, b""), Answer(200, b"<html>"), UnreachableError("canary")], ids=str)
    def test_that_fails_and_may_be_tried_again_is_not(self, world: World, answer: Any) -> None:
        """Nothing has happened to the login."""
        world.issuer.answers = [answer]
        with pytest.raises(RenewalError):
            world.renewed()
        assert world.announced == []


class TestRefused:
    def test_is_announced_once_with_the_issuers_code(self, world: World) -> None:
        """Whoever comes after adopts it in silence."""
        world.issuer.answers = [REFUSED]
        for _ in range(2):
            with pytest.raises(RefusedError):
                world.renewed()
        assert world.announced == [told(world, "refused", account="me", code="invalid_grant")]

    def test_so_is_a_login_that_was_lost(self, world: World) -> None:
        """Its secret is spent and the answer is gone."""
        world.issuer.answers = [(UnansweredError("canary"),), REFUSED]
        with pytest.raises(LostRenewalError):
            world.renewed()
        assert world.announced == [told(world, "refused", account="me", code="renewal-interrupted")]

    def test_not_where_somebody_else_has_the_successor(self, world: World) -> None:
        """It is believed only after a second look."""
        world.issuer.answers = [REFUSED]
        world.meanwhile = lambda: world.sign_in(3600.0, access="A5", refresh="R5")
        world.renewed()
        assert world.announced == []


class TestLogin:
    def test_is_announced_once_it_is_stored(self, world: World) -> None:
        """With whose it is and where."""
        save(world.login(), {"access": "canary", "account": "you"})
        assert world.announced == [told(world, "login", account="you")]

    def test_is_not_where_it_could_not_be(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rule, a damaged login in its place, a full disk."""

        def full(_: object) -> None:
            raise StoreError("full")

        world.forbidden = PolicyError("no")
        with pytest.raises(PolicyError):
            save(world.login(), {"access": "canary"})
        world.forbidden = None
        monkeypatch.setattr(world.store, "replace", full)
        with pytest.raises(StoreError):
            save(world.login(), {"access": "canary"})
        world.path.write_text("{")
        with pytest.raises(DamagedLoginError):
            save(world.login(), {"access": "canary"})
        assert world.announced == []


class TestLogout:
    def test_is_announced_for_each_place_that_held_a_login(self, world: World) -> None:
        """One that was empty is not told of, nor is signing out again."""
        other = MemoryStore()
        for _ in range(2):
            sign_out(world.login(), [world.store, other])
        assert world.announced == [told(world, "logout")]

    def test_so_is_a_login_that_was_carried_away(self, world: World) -> None:
        """It is gone here; what is another login by now stays."""
        record = world.record
        world.sign_in(access="A7")
        remove_carried(world.login(), record, [world.store])
        assert world.announced == []
        remove_carried(world.login(), world.record, [world.store])
        assert world.announced == [told(world, "logout")]

    def test_so_is_one_that_a_rule_has_removed(self, world: World) -> None:
        """With `policy` as its code; one that only may not be used stays."""
        world.forbidden = PolicyError("no")
        remove_forbidden(world.login())
        assert world.announced == []
        world.forbidden = PolicyError("no", removes=True)
        remove_forbidden(world.login())
        assert world.announced == [told(world, "logout", account="me", code="policy")]

    def test_is_not_repeated_by_a_renewal_that_finds_it(self, world: World) -> None:
        """Whoever signed out has announced it."""

        def leave(secret: str) -> Answer:
            world.store.delete()
            return world.issuer.renewed(secret)

        world.issuer.answers = [leave]
        with pytest.raises(NotSignedInError):
            world.renewed()
        assert world.announced == []
