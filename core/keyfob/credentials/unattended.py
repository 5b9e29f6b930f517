"""Signing in without anybody: once for all who would, and where that fails, not by each of them again at once."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from keyfob.credentials.exchange import told
from keyfob.credentials.outcome import Outcome
from keyfob.credentials.records import SignsIn
from keyfob.credentials.saving import least, sendable
from keyfob.errors import SignInError, StoreError

if TYPE_CHECKING:
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record


def made(login: Login) -> Record:
    """The login that is made now, or that somebody else has made meanwhile. May block.

    Raises what `Login.missing` returns where it takes a person; PolicyError before its issuer is asked; SignInError,
    which holds back all who would try the same; StoreError.
    """
    way = login.unattended
    if way is None or not isinstance(login.records, SignsIn):
        raise login.missing()
    login.permit()
    with login.store.lock():
        record = login.useful()
        return _tried(login, login.records, way) if record is None else record


def _tried(login: Login, records: SignsIn, way: str) -> Record:
    """Sign in, unless the same has failed a moment ago, in whichever process. With the lock held."""
    attempt = _fingerprint(records)
    outcome = login.store.journal().held_against(attempt, login.clock())
    if outcome is not None:
        raise in_vain(outcome)
    try:
        return _signed_in(login, records, way)
    except SignInError as error:
        _note(login, attempt, error)
        raise


def _fingerprint(records: SignsIn) -> str:
    """What tells one attempt from another that could end otherwise, and gives nothing away."""
    return hashlib.sha256(records.unattended_with.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def last(login: Login) -> Outcome | None:
    """What came of the last try to make the very login that would be made now; None where nobody has tried."""
    outcome, records = login.store.journal().outcome, login.records
    tried = outcome is not None and isinstance(records, SignsIn) and outcome.fingerprint == _fingerprint(records)
    return outcome if tried else None


def in_vain(outcome: Outcome) -> SignInError:
    """The error that says what came of it."""
    return SignInError(outcome.message, hint=outcome.hint)


def _signed_in(login: Login, records: SignsIn, way: str) -> Record:
    """Sign in, once it is known that the place takes a login. With the lock held."""
    with login.store.writing():
        login.store.probe(least(login))
    with told(login.provider, login.command), records.sign_in(way) as data:
        record = sendable(login, data)
        with login.store.writing():
            login.store.replace(login.bound(data))
    login.announce("login", account=record.account, place=login.store.place)
    return record


def _note(login: Login, attempt: str, error: SignInError) -> None:
    """What cannot be noted holds nobody back; why it failed is what there is to say."""
    with contextlib.suppress(StoreError):
        journal = login.store.journal()
        outcome = Outcome.of_failure(
            journal.outcome, attempt, error.error or error.code, str(error), login.clock(), error.retry_after
        )
        login.store.note(replace(journal, outcome=replace(outcome, hint=error.hint)))
