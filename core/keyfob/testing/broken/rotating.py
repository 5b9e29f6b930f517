"""Plugins whose logins are stored and renewed, each with one fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from keyfob.plugin import About, Answer, AuthPlugin, Exchange, Record, hookimpl
from keyfob.testing.broken.parts import Logins, Rotating


class Believes(Logins):
    """Takes whatever is stored for a login."""

    def read(self, data: Mapping[str, Any]) -> Record:
        return Record(data, data["access"], secret=data["refresh"], expires_at=data["expires_at"])


class Shows(Logins):
    """Masks nothing."""

    def about(self, record: Record) -> About:
        return About("login", record.token)


class Drops(Logins):
    """Keeps what it knows."""

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"origin": record.data.get("origin"), **self.tokens(record, answer)}


class Loses(Logins):
    """Takes an answer without a refresh token for one that has none."""

    def tokens(self, record: Record, answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().tokens(record, answer), "refresh": answer.get("refresh_token")}


class TakesAnything(Logins):
    """Takes an answer without a token for one that changes nothing."""

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().absorb(record, answer) if "access_token" in answer else record.data


class GivesUp(Logins):
    """Takes whatever is no success for the end of the login."""

    def refusal(self, answer: Answer) -> str | None:
        return None if answer.ok else "refused"


class RevokesWhole(Logins):
    """Counts on a login where there may be none."""

    def revocation(self, data: Mapping[str, Any]) -> Exchange | None:
        return Exchange(self.options.token_url, data["refresh"].encode())


class KeepsToItself(Logins):
    """Knows when a login ends in this process alone, so that every other one renews it again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._ends: dict[str, float | None] = {}

    def read(self, data: Mapping[str, Any]) -> Record:
        record = super().read(data)
        return replace(record, expires_at=self._ends.get(record.token, record.expires_at))

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        renewed = dict(super().absorb(record, answer))
        self._ends[renewed["access"]] = renewed["expires_at"]
        return {**renewed, "expires_at": record.data["expires_at"]}


_FAULTS: Mapping[str, type[Logins]] = {
    "damaged-logins-are-told": Believes,
    "a-login-is-told-without-its-secrets": Shows,
    "unknown-fields-are-kept": Drops,
    "an-unrotated-refresh-token-is-kept": Loses,
    "a-worthless-answer-is-refused": TakesAnything,
    "an-outage-ends-no-login": GivesUp,
    "anything-can-be-revoked": RevokesWhole,
    "no-token-is-presented-twice": KeepsToItself,
}


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """One for each rule that is about such plugins."""
    return [type(kind.__name__, (Rotating,), {"key": rule, "kind": kind})() for rule, kind in _FAULTS.items()]
