"""How a login stands: there, renewable, refused, interrupted or damaged; told without renewing or asking anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.credentials import timing
from keyfob.credentials.renewal import failure, lost
from keyfob.errors import DamagedLoginError, KeyfobError, PolicyError
from keyfob.plugin.contract import State

if TYPE_CHECKING:
    from keyfob.credentials.journal import Journal
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record

# The words of `keyfob status`: each state a login can be in.
ABSENT = "not signed in"
PRESENT = "present"
RENEWABLE = "expired but renewable"
EXPIRED = "expired"
REFUSED = "refused for good"
INTERRUPTED = "renewal interrupted"
DAMAGED = "damaged"
FORBIDDEN = "forbidden by policy"
UNREADABLE = "store not readable"


@dataclass(frozen=True, slots=True)
class Standing:
    """state: one of the words above. usable: whether a credential can be had. problem: what is wrong,."""

    state: str
    usable: bool
    place: str
    record: Record | None = None
    problem: KeyfobError | None = None
    stored: bool = True


def standing(login: Login) -> Standing:
    """How the login stands that would be used: the environment's, else the stored one."""
    given = login.records.given()
    place = login.store.place if given is None else f"environment variable {login.records.variable}"
    try:
        record = login.stored() if given is None else login.records.of_environment(given)
    except DamagedLoginError as error:
        return Standing(DAMAGED, usable=False, place=place, problem=error, stored=given is None)
    except KeyfobError as error:
        return Standing(UNREADABLE, usable=False, place=place, problem=error, stored=given is None)
    if record is None:
        return Standing(ABSENT, usable=False, place=place)
    try:
        login.judge(record)
    except PolicyError as error:
        return Standing(FORBIDDEN, usable=False, place=place, record=record, problem=error, stored=given is None)
    if given is not None:
        return Standing(PRESENT, usable=True, place=place, record=record, stored=False)
    return _timed(record, login.store.journal(), login.clock(), place)


def _timed(record: Record, journal: Journal, now: float, place: str) -> Standing:
    good = now < timing.usable_until(record, skew=timing.skew_of(record, journal))
    outcome = journal.outcome
    if outcome and outcome.permanent and outcome.fingerprint == record.fingerprint:
        state = INTERRUPTED if lost(outcome) else REFUSED
        return Standing(state, usable=good, place=place, record=record, problem=failure(outcome))
    if good:
        return Standing(PRESENT, usable=True, place=place, record=record)
    if record.secret is None:
        return Standing(EXPIRED, usable=False, place=place, record=record)
    return Standing(RENEWABLE, usable=True, place=place, record=record)


def state_of(login: Login) -> State:
    """The same as `explain` and `providers` tell it."""
    found = standing(login)
    headers: tuple[str, ...] = ("Authorization",)
    if found.record is not None and found.usable:
        headers = tuple(login.records.credential(found.record).headers)
    summary = "ready" if found.state == PRESENT else found.state
    return State(found.usable, summary, comes_from=found.place, headers=headers)
