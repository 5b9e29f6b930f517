"""When a login is renewed: its early window, and what a 401 may do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob.credentials.journal import Journal
    from keyfob.credentials.record import Record

# Seconds before expiry. Codex renews its login 5 minutes before, without a lock: whoever shares a record with it has
# to be done by then. Never more than that share of a credential's life.
SHARED_WINDOW = (600.0, 900.0)
SHARED_SHARE = 0.25
OWN_WINDOW = (300.0, 300.0)
OWN_SHARE = 0.1
# A login that does not say when it expires is renewed at this age, as Codex does. Seconds.
AGE_WITHOUT_EXPIRY = 8 * 86_400.0
# A proxy that answers 401 to everything must not rotate a login with each request. Seconds.
FORCED_AFTER = 60.0
FORCED_EVERY = 600.0
# A replacement that failed while the old credential was still good is not tried with each request. Seconds.
RETRY_AFTER = 5.0
# One that was already expired when it came is not renewed again before that. Seconds.
EXPIRED_ON_ARRIVAL_HOLD = 60.0


# Where in the window this process renews, so that not all do so at once; 1 is the earliest.
_OWN_MOMENT = os.urandom(1)[0] / 255


def until_fresh(record: Record, *, shared: bool, skew: float = 0.0, moment: float = _OWN_MOMENT) -> float:
    """Until when the record needs no renewal, in seconds since the epoch."""
    if record.secret is None:
        return usable_until(record, skew=skew)
    if record.expires_at is None:
        return float("inf") if record.issued_at is None else record.issued_at + AGE_WITHOUT_EXPIRY
    ends = record.expires_at + skew
    life = float("inf") if record.issued_at is None else ends - record.issued_at
    return ends - early(life, shared=shared, moment=moment)


def early(life: float, *, shared: bool = False, moment: float = _OWN_MOMENT) -> float:
    """How long before it expires a credential that lives so long is replaced; seconds."""
    window, share = (SHARED_WINDOW, SHARED_SHARE) if shared else (OWN_WINDOW, OWN_SHARE)
    return min(window[0] + moment * (window[1] - window[0]), share * max(0.0, life))


def usable_until(record: Record, *, skew: float = 0.0) -> float:
    """Until when its credential is good, by this machine's clock; seconds since the epoch."""
    return float("inf") if record.expires_at is None else record.expires_at + skew


def has_ended(record: Record, now: float) -> bool:
    """Whether it is of no use any more: over, and nothing there that renews it. now: seconds since the epoch."""
    return record.secret is None and usable_until(record) <= now


def skew_of(record: Record, journal: Journal) -> float:
    """How far this machine's clock was ahead when the record was issued, as far as that is known; seconds."""
    skew = journal.skew
    return skew.seconds if skew and skew.fingerprint == record.fingerprint else 0.0


def may_be_forced(record: Record, journal: Journal, now: float) -> bool:
    """Whether a 401 may have this record renewed: it is not new, and none was renewed so in the last 10 minutes.

    Times that lie ahead were written by a clock that was wrong: they hold nothing back.
    """
    if record.secret is None:
        return False
    new = record.issued_at is not None and 0 <= now - record.issued_at < FORCED_AFTER
    return not new and not 0 <= now - journal.forced_at < FORCED_EVERY
