"""When a login is renewed: its early window, and what a 401 may do."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.credentials.journal import Journal, Skew
from keyfob.credentials.record import Record
from keyfob.credentials.timing import may_be_forced, skew_of, until_fresh, usable_until

HOUR = 3600.0


def record(**fields: Any) -> Record:
    return Record({}, "A1", **{"secret": "R1", "expires_at": 100 * HOUR, "issued_at": 0.0, **fields})


class TestEarly:
    @pytest.mark.parametrize(("moment", "minutes"), [(0.0, 10), (0.5, 12.5), (1.0, 15)])
    def test_one_that_codex_shares_is_renewed_before_codex_would(self, moment: float, minutes: float) -> None:
        """10 to 15 minutes before it expires, each process at its own moment; Codex has 5."""
        assert until_fresh(record(), shared=True, moment=moment) == 100 * HOUR - 60 * minutes

    @pytest.mark.parametrize("moment", [0.0, 1.0])
    def test_any_other_is_renewed_5_minutes_before(self, moment: float) -> None:
        """At any moment."""
        assert until_fresh(record(), shared=False, moment=moment) == 100 * HOUR - 300

    @pytest.mark.parametrize(("shared", "share"), [(True, 0.25), (False, 0.1)])
    def test_never_with_more_than_a_share_of_its_life_to_go(self, *, shared: bool, share: float) -> None:
        """A quarter for one that Codex shares, a tenth for the others."""
        short = record(expires_at=1000.0)
        assert until_fresh(short, shared=shared, moment=1.0) == 1000 - share * 1000

    def test_who_does_not_say_when_it_was_issued_has_the_whole_window(self) -> None:
        """Nothing is known of its life."""
        assert until_fresh(record(issued_at=None), shared=True, moment=1.0) == 100 * HOUR - 900

    def test_one_from_the_future_has_no_life_of_less_than_nothing(self) -> None:
        """It is renewed when it expires."""
        assert until_fresh(record(issued_at=200 * HOUR), shared=True) == 100 * HOUR

    def test_without_an_expiry_its_age_counts(self) -> None:
        """8 days, as in Codex; without an age neither."""
        assert until_fresh(record(expires_at=None, issued_at=5.0), shared=True) == 8 * 24 * HOUR + 5
        assert until_fresh(record(expires_at=None, issued_at=None), shared=True) == float("inf")
        assert usable_until(record(expires_at=None)) == float("inf")

    def test_what_cannot_be_renewed_is_fresh_until_it_expires(self) -> None:
        """There is nothing to be early for."""
        assert until_fresh(record(secret=None), shared=True) == 100 * HOUR

    def test_where_the_clock_is_ahead_all_is_later(self) -> None:
        """By just that, and only for the state of the login that it is known of."""
        skew = Skew(record().fingerprint, HOUR)
        assert skew_of(record(), Journal(skew=skew)) == HOUR
        assert skew_of(record(secret="R2"), Journal(skew=skew)) == 0
        assert usable_until(record(), skew=HOUR) == 101 * HOUR
        assert until_fresh(record(), shared=False, skew=HOUR) == 101 * HOUR - 300


class TestForced:
    @pytest.mark.parametrize(
        ("now", "forced_at", "allowed"),
        [
            (59.9, 0.0, False),
            (60.0, -1000.0, True),
            (1000.0, 400.1, False),
            (1000.0, 400.0, True),
            (1000.0, 5000.0, True),
            (-3600.0, -10000.0, True),
        ],
    )
    def test_it_is_for_an_old_one_and_not_often(self, now: float, forced_at: float, *, allowed: bool) -> None:
        """Issued 60 s ago, none in 10 minutes; times from the future, of a clock that was wrong, hold nothing back."""
        assert may_be_forced(record(), Journal(forced_at=forced_at), now) is allowed

    def test_it_takes_a_secret(self) -> None:
        """An API key is not renewed."""
        assert not may_be_forced(record(secret=None), Journal(), 10 * HOUR)

    def test_who_does_not_say_when_it_was_issued_counts_as_old(self) -> None:
        """The 10 minutes hold for it all the same."""
        assert may_be_forced(record(issued_at=None), Journal(forced_at=-1000), 1.0)
