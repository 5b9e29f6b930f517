"""The journal and the stage: what is written is read again, and what is not theirs counts for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.credentials.exchange import Answer, json_object
from keyfob.credentials.journal import Intent, Journal, Skew, Stage
from keyfob.credentials.outcome import Outcome

FULL = Journal(
    Intent("f1", attempt=2, sent=True, at=5.0, refused="invalid_grant"),
    Outcome("f1", "status-500", "down", 7.0, not_before=8.0, failures=3),
    Skew("f2", 3600.0),
    forced_at=9.0,
)


class TestJournal:
    @pytest.mark.parametrize("journal", [Journal(), FULL])
    def test_it_comes_back_as_it_was(self, journal: Journal) -> None:
        """Whatever it holds."""
        assert Journal.parsed(journal.dumped()) == journal

    def test_what_an_earlier_version_wrote_is_read(self) -> None:
        """What it does not tell has its ordinary value."""
        text = b'{"intent": {"fingerprint": "f", "sent": true}, "later": 1}'
        assert Journal.parsed(text) == Journal(Intent("f", sent=True))

    @pytest.mark.slow
    @given(st.binary() | st.from_type(type(None)).map(lambda _: FULL.dumped()[:-9]))
    def test_what_cannot_be_read_is_as_good_as_none(self, text: bytes) -> None:
        """It holds no part of a login."""
        assert Journal.parsed(text) == Journal()

    @pytest.mark.parametrize(
        ("not_before", "waits"), [(99.9, False), (100.0, False), (100.1, True), (700.0, True), (700.1, False)]
    )
    def test_a_time_to_wait_is_believed_for_10_minutes(self, not_before: float, *, waits: bool) -> None:
        """One further ahead was written by a clock that was wrong."""
        assert Outcome("f", "c", "m", 0.0, not_before=not_before).waits(100.0) is waits


class TestStage:
    @pytest.mark.slow
    @given(st.binary(), st.floats(0, 1e12), st.none() | st.floats(0, 1e12))
    def test_it_comes_back_as_it_was(self, body: bytes, at: float, date: float | None) -> None:
        """Whatever the issuer answered."""
        stage = Stage("parent", body, at, date)
        assert Stage.parsed(stage.dumped()) == stage

    @given(st.integers(0, 200))
    def test_a_part_of_it_is_none(self, length: int) -> None:
        """It was cut off while it was written."""
        text = Stage("parent", b'{"refresh_token": "secret"}', 5.0).dumped()
        assert Stage.parsed(text[: min(length, len(text) - 1)]) is None

    @given(st.binary())
    def test_anything_else_is_none(self, text: bytes) -> None:
        """And breaks nothing."""
        assert Stage.parsed(text) is None

    def test_neither_shows_what_it_holds(self) -> None:
        """Not in a traceback either."""
        assert "secret" not in repr(Stage("parent", b"secret")) + repr(Answer(200, b"secret"))

    @pytest.mark.parametrize(
        "text", [b"", b"<html>", b"null", b"[{}]", b'"{}"', b"5", b"NaN", b"\xff", b'{"a": 1', b"{}{}"]
    )
    def test_an_answer_that_is_no_object_is_an_empty_one(self, text: bytes) -> None:
        """HTML of a captive portal, for instance."""
        assert json_object(text) == {}

    def test_nesting_without_end_breaks_nothing(self) -> None:
        """The parser's own limit is no error of ours."""
        assert json_object(b"[" * 100_000) == {}
