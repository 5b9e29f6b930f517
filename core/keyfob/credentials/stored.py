"""The source of a plugin that stores logins: what the environment gives, else the stored login, renewed when needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keyfob.credentials import timing
from keyfob.credentials.forks import forget_after_fork
from keyfob.credentials.headers import illegal_part
from keyfob.errors import (
    AccountChangedError,
    DamagedLoginError,
    Fault,
    IllegalHeaderError,
    LockedError,
    NotSignedInError,
    PolicyError,
    RenewalError,
    StoreError,
    UnsupportedLoginError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record
    from keyfob.credentials.renewals import Renew

# How often a use looks whether the record is another by now. Seconds.
LOOK_EVERY = 5.0
# No request waits longer for a renewal while the credential is good: that is finished without it. Codex kills a token
# command after 5 s, its start and the reading of the configuration included. Seconds.
PATIENCE = 2.0
# What is wrong then is not the renewal: whoever has signed out must not go on.
_ABOUT_THE_LOGIN = (NotSignedInError, AccountChangedError, PolicyError, DamagedLoginError, UnsupportedLoginError)


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
    """Yields the credential of one login. Holds no lock. `renew` carries a renewal out, see `Renewals.start`.

    where: the base URL that a login is for alone; None where it goes to the entry's, as any other.
    """

    def __init__(self, login: Login, renew: Renew, where: Callable[[Record], str | None] = lambda _: None) -> None:
        self._login = login
        self._given = login.records.environment_secret
        self._clock = login.clock
        self._renew = renew
        self._where = where
        self._held: _Held | None = None
        self._whose: tuple[str, str | None] | None = None
        self._look_at = 0.0
        self._successor: str | None = None
        self._in_vain: str | None = None
        self._warned = False
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: a renewal under way ends in the parent."""
        self._under_way: Future[Record] | None = None

    def peek(self) -> Credential | None:
        """The credential while it is fresh, or while it is usable and somebody is already renewing it."""
        try:
            return self._at_hand()
        except Exception:  # noqa: BLE001  # `get` is asked next, and its errors are heard
            return None

    def _at_hand(self) -> Credential | None:
        held = self._held
        if held is None or self._given() != held.given:
            return None
        if held.given is not None:
            return held.credential
        if time.monotonic() >= self._look_at and not self._unchanged(held):
            return None
        now, under_way = self._clock(), self._under_way
        fresh = now < held.fresh_until or (under_way and not under_way.done() and now < held.usable_until)
        return held.credential if fresh else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The credential: as it is, as somebody else has renewed it, or renewed now. Raises CredentialError."""
        given = self._given()
        if given is not None:
            return self._of_environment(given)
        try:
            held = self._looked(again=rejected is not None)
        except IllegalHeaderError as error:
            held = self._mended(error)
        if rejected is not None and (rejected is held.credential or rejected.token == held.record.token):
            return self._replaced(held, rejected)
        return held.credential if self._clock() < held.fresh_until else self._renewed(held)

    def _of_environment(self, given: str) -> Credential:
        held = self._held
        if held is None or held.given != given:
            record = self._login.of_environment(given)
            held = self._held = _Held(self._credential(record), given, record)
        return held.credential

    def _credential(self, record: Record) -> Credential:
        credential, base_url = self._login.records.credential(record), self._where(record)
        if base_url is not None:
            credential.base_url = base_url
        return credential

    def _usable(self, held: _Held) -> bool:
        return self._clock() < held.usable_until

    # Reading

    def _unchanged(self, held: _Held) -> bool:
        stamp = self._login.store.stamp()
        if stamp is None or stamp != held.stamp:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY
        return True

    def _looked(self, *, again: bool = False) -> _Held:
        """What is held, read again where it may have changed."""
        held = self._held
        if held is None or held.given is not None:
            return self._read()
        try:
            due = again or time.monotonic() >= self._look_at
            return held if not due or self._unchanged(held) else self._read()
        except StoreError:  # a keyring can be locked for a while: what was read from it is as good as before
            if not self._usable(held):
                raise
            self._look_at = time.monotonic() + LOOK_EVERY
            return held

    def _read(self) -> _Held:
        """What is stored, judged, and held from now on. The stamp is taken first: it must not be newer than that."""
        stamp = self._login.store.stamp()
        record = self._login.load()
        self._check_account(record)
        self._held = held = self._timed(record, stamp)
        self._whose = record.whose
        self._look_at = time.monotonic() + LOOK_EVERY
        return held

    def _check_account(self, record: Record) -> None:
        if self._whose is not None and record.whose != self._whose:
            message = f"{self._login.provider}: somebody else has signed in meanwhile; start the program again"
            raise AccountChangedError(message, hint=f"keyfob status {self._login.provider}")

    def _timed(self, record: Record, stamp: object) -> _Held:
        held, journal = self._held, self._login.store.journal()
        same = held is not None and held.given is None and held.record.token == record.token
        credential = held.credential if held and same else self._credential(record)
        skew = timing.skew_of(record, journal)
        self._warn_of(skew)
        fresh = timing.until_fresh(record, shared=self._login.shared, skew=skew)
        unfinished = journal.intent is not None and record.secret is not None
        usable = timing.usable_until(record, skew=skew)
        return _Held(credential, None, record, stamp, 0.0 if unfinished else fresh, usable)

    def _warn_of(self, skew: float) -> None:
        if skew and not self._warned:
            self._warned = True
            message = f"this machine's clock is {skew:.0f} s ahead of the issuer's"
            self._login.warn(Fault(message, "set the clock", path="clock"))

    # Renewing

    def _renewed(self, held: _Held) -> Credential:
        """Renew before or after expiry; before, the old credential is good enough for every failure."""
        expired = not self._usable(held)
        try:
            renewed = self._run(held, forced=False, wait=expired)
            if self._usable(renewed):
                return renewed.credential
            raise self._useless()
        except Exception as error:
            at_it = isinstance(error, LockedError | TimeoutError)
            if at_it and not expired and not self._usable(held):
                return self._renewed(held)  # it expired at that moment: now all wait for whoever is at it
            if isinstance(error, _ABOUT_THE_LOGIN) or not self._usable(held):
                raise
            if self._held is held:  # nobody has put a newer one there
                soon = self._clock() + timing.RETRY_AFTER
                self._held = replace(held, fresh_until=min(held.usable_until, soon))
            return held.credential

    def _useless(self) -> RenewalError:
        """It gave no access token, or one that had expired when it came; for a minute it is not asked again."""
        message = "the login has expired, and its issuer gave nothing in its place that can be sent"
        hint = f"try again in a minute, or {self._login.command}"
        return RenewalError(f"{self._login.provider}: {message}", hint=hint)

    def _replaced(self, held: _Held, rejected: Credential) -> Credential:
        """After a 401: a renewed credential, or the same where none may be had."""
        if self._clock() < held.fresh_until and not self._may_be_forced(held):
            return rejected
        renewed = self._run(held, forced=True, wait=True)
        if renewed.record.token == held.record.token:
            return rejected
        self._successor = renewed.record.token
        return renewed.credential

    def _mended(self, error: IllegalHeaderError) -> _Held:
        """Where the stored token cannot be sent: the login renewed, no more often than after a 401, if it can be."""
        renewal = self._login.renewal
        if renewal is None:
            raise error
        record = renewal.current()
        if record.secret is None or illegal_part(record.token) is None:
            raise error
        self._login.judge(record)
        self._check_account(record)
        self._renew(renewal, record, forced=True, wait=True).result()
        return self._read()

    def _may_be_forced(self, held: _Held) -> bool:
        """Whether a 401 may have it renewed: not if the last renewal for a 401 brought nothing but another here."""
        token = held.record.token
        allowed = timing.may_be_forced(held.record, self._login.store.journal(), self._clock())
        if not allowed and token == self._successor:
            self._in_vain = token
        return allowed and token != self._in_vain

    def _run(self, held: _Held, *, forced: bool, wait: bool) -> _Held:
        renewal = self._login.renewal
        if renewal is None or held.record.secret is None:
            raise self._login.ended()
        self._under_way = under_way = self._renew(renewal, held.record, forced=forced, wait=wait)
        under_way.result(None if wait else PATIENCE)
        return self._read()
