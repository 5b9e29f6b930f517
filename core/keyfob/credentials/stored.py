"""The source of a plugin that stores logins: what the environment gives, else the stored login, renewed when needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keyfob.credentials import timing
from keyfob.errors import AccountChangedError, ConfigError, NotSignedInError, RenewalError, StoreError

if TYPE_CHECKING:
    from keyfob.credentials.credential import Credential
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record
    from keyfob.credentials.renewals import Renew

# How often a use looks whether the record is another by now. Seconds.
LOOK_EVERY = 5.0
# A renewal that failed while the credential was still good is not tried with each request. Seconds.
_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    """A credential with what it is of and the times that matter, in seconds since the epoch.

    given: the environment's secret that it was made of, None for a stored login. stamp: the store's, when it was read.
    """

    credential: Credential
    given: str | None
    record: Record
    stamp: object = None
    fresh_until: float = float("inf")
    usable_until: float = float("inf")


class StoredSource:
    """Yields the credential of one login. Holds no lock. `renew` carries a renewal out, see `Renewals.start`."""

    def __init__(self, login: Login, renew: Renew) -> None:
        self._login = login
        self._given = login.records.given
        self._clock = login.clock
        self._renew = renew
        self._held: _Held | None = None
        self._whose: tuple[str, str | None] | None = None
        self._look_at = 0.0
        self._renewing = False
        self._successor: str | None = None

    def peek(self) -> Credential | None:
        """The credential while it is fresh, or while it is usable and somebody is already renewing it."""
        held = self._held
        if held is None or self._given() != held.given:
            return None
        if held.given is not None:
            return held.credential
        if time.monotonic() >= self._look_at and not self._unchanged(held):
            return None
        now = self._clock()
        fresh = now < held.fresh_until or (self._renewing and now < held.usable_until)
        return held.credential if fresh else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The credential: as it is, as somebody else has renewed it, or renewed now. Raises CredentialError."""
        given = self._given()
        if given is not None:
            return self._of_environment(given)
        held = self._looked(again=rejected is not None)
        if rejected is not None and held.credential.token == rejected.token:
            return self._replaced(held, rejected)
        return held.credential if self._clock() < held.fresh_until else self._renewed(held)

    def _of_environment(self, given: str) -> Credential:
        held = self._held
        if held is None or held.given != given:
            record = self._login.of_environment(given)
            held = self._held = _Held(self._login.records.credential(record), given, record)
        return held.credential

    # Reading

    def _unchanged(self, held: _Held) -> bool:
        try:
            stamp = self._login.store.stamp()
        except StoreError:
            return False
        if stamp is None or stamp != held.stamp:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY
        return True

    def _looked(self, *, again: bool = False) -> _Held:
        """What is held, read again where it may have changed."""
        held = self._held
        due = again or time.monotonic() >= self._look_at
        if held is not None and held.given is None and (not due or self._unchanged(held)):
            return held
        stamp = self._login.store.stamp()
        return self._hold(self._login.load(), stamp)

    def _hold(self, record: Record, stamp: object) -> _Held:
        """Hold a record that was judged."""
        if self._whose is not None and record.whose != self._whose:
            message = f"{self._login.provider}: somebody else has signed in meanwhile; start the program again"
            raise AccountChangedError(message, hint=f"keyfob status {self._login.provider}")
        held, journal = self._held, self._login.store.journal()
        same = held is not None and held.given is None and held.record.token == record.token
        credential = held.credential if held and same else self._login.records.credential(record)
        skew = timing.skew_of(record, journal)
        fresh = timing.until_fresh(record, shared=self._login.shared, skew=skew)
        unfinished = journal.intent is not None and record.secret is not None
        usable = timing.usable_until(record, skew=skew)
        self._held = held = _Held(credential, None, record, stamp, 0.0 if unfinished else fresh, usable)
        self._whose = record.whose
        self._look_at = time.monotonic() + LOOK_EVERY
        return held

    # Renewing

    def _renewed(self, held: _Held) -> Credential:
        """Renew before or after expiry; before, the old credential is good enough for every failure."""
        now = self._clock()
        usable = now < held.usable_until
        try:
            renewed = self._run(held, forced=False, wait=not usable)
            if self._clock() < renewed.usable_until:
                return renewed.credential
            raise RenewalError(f"{self._login.provider}: the login expired before it could be used")
        except (RenewalError, StoreError, ConfigError):
            if not usable:
                raise
            self._held = replace(held, fresh_until=min(held.usable_until, now + _RETRY_AFTER))
            return held.credential

    def _replaced(self, held: _Held, rejected: Credential) -> Credential:
        """After a 401: a renewed credential, or the same where none may be had."""
        journal = self._login.store.journal()
        allowed = timing.may_be_forced(held.record, journal, self._clock())
        if not allowed or rejected.token == self._successor:
            return rejected
        renewed = self._run(held, forced=True, wait=True)
        if renewed.credential.token == rejected.token:
            return rejected
        self._successor = renewed.credential.token
        return renewed.credential

    def _run(self, held: _Held, *, forced: bool, wait: bool) -> _Held:
        renewal = self._login.renewal
        if renewal is None or held.record.secret is None:
            provider = self._login.provider
            raise NotSignedInError(
                f"{provider}: the login has expired and cannot be renewed", hint=f"keyfob login {provider}"
            )
        self._renewing = True
        try:
            self._renew(renewal, held.record, forced, wait).result()
        finally:
            self._renewing = False
        stamp = self._login.store.stamp()
        return self._hold(self._login.load(), stamp)
