"""The journal of one record's renewals: what is under way, and what came of the last. Fingerprints, never a token."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keyfob.credentials.exchange import json_object
from keyfob.credentials.outcome import Outcome  # noqa: TC001  # pydantic looks for it

# No time lies so far ahead, in seconds since the epoch.
_LATEST = 10.0**12


@dataclass(frozen=True, slots=True)
class Intent:
    """A renewal under way.

    fingerprint: of the state of the record. attempt: 1 when its secret is presented for the first time. sent: it may
    have gone out. at: since when. refused: the issuer's code, once it has refused that. forced: it is for a 401.
    """

    fingerprint: str
    attempt: int = 1
    sent: bool = False
    at: float = 0.0
    refused: str | None = None
    forced: bool = False

    @property
    def since(self) -> str:
        """When that was, as RFC 3339 writes it; in a damaged journal it may be beyond any calendar."""
        try:
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at))
        except (OverflowError, ValueError, OSError):
            return "an unknown time"


@dataclass(frozen=True, slots=True)
class Skew:
    """How many seconds this machine's clock was ahead of the issuer's, when it issued that state of the record."""

    fingerprint: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Journal:
    """forced_at: when an issuer last renewed the record, or refused to, for a 401; seconds since the epoch."""

    intent: Intent | None = None
    outcome: Outcome | None = None
    skew: Skew | None = None
    forced_at: float = 0.0

    def held_against(self, fingerprint: str, now: float) -> Outcome | None:
        """What came of the same before, if that keeps everybody from trying it now."""
        outcome = self.outcome
        same = outcome is not None and outcome.fingerprint == fingerprint
        return outcome if outcome and same and (outcome.permanent or outcome.waits(now)) else None

    def dumped(self) -> bytes:
        """As JSON."""
        return _JOURNAL.dump_json(self)

    @classmethod
    def parsed(cls, text: bytes) -> Journal:
        """Of JSON. What cannot be read is as good as nothing: a journal holds no part of a login."""
        try:
            return _JOURNAL.validate_json(text)
        except ValidationError:
            return cls()


# Made at once: in a waiter's turn at the lock it would hold up all who come after.
_JOURNAL = TypeAdapter(Journal)


@dataclass(frozen=True, slots=True)
class Stage:
    """An issuer's answer, kept as it came: which state of the record it succeeds, when, and by the issuer's clock."""

    parent: str
    body: bytes = field(repr=False)
    at: float = 0.0
    date: float | None = None

    def document(self) -> dict[str, Any]:
        """The JSON object in the answer; empty where there is none."""
        return json_object(self.body)

    def dumped(self) -> bytes:
        """A line that says what it is, and then the answer."""
        head = json.dumps({"parent": self.parent, "at": self.at, "date": self.date, "bytes": len(self.body)})
        return head.encode() + b"\n" + self.body

    @classmethod
    def parsed(cls, text: bytes) -> Stage | None:
        """None for what is not a stage, or not a whole one."""
        head, newline, body = text.partition(b"\n")
        fields = json_object(head)
        parent, at, date = fields.get("parent"), fields.get("at"), fields.get("date")
        if not newline or not isinstance(parent, str) or fields.get("bytes") != len(body):
            return None
        return cls(parent, body, _number(at) or 0.0, _number(date))


def _number(value: object) -> float | None:
    """A time; none that is beyond any calendar. Seconds since the epoch."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= _LATEST else None
