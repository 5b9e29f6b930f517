"""One renewal, from the lock to the outcome: the secret of a login is spent once, and its successor is never lost.

lock → read again → what an earlier renewal left → prepare → intent → exchange → stage → commit → outcome. A process
that is killed at any point leaves behind what the next one needs to go on (`_recovered`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyfob.credentials import timing
from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.credentials.journal import LONGEST_WAIT, Intent, Journal, Outcome, Skew, Stage
from keyfob.errors import ConfigError, LostRenewalError, NotSignedInError, RefusedError, RenewalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.exchange import Answer, Send
    from keyfob.credentials.record import Record, Rotation
    from keyfob.credentials.store import Store

PROACTIVE, UNAUTHORIZED = "proactive_expiry", "unauthorized_recovery"
# Before "refused" is believed: another program may be about to write what it got for the same secret. Seconds.
SECOND_LOOK = 2.0
_LOOK_EVERY = 0.05
# After a failure that may pass, this long to the next try, doubled with each. Seconds.
_FIRST_WAIT, _LAST_WAIT = 1.0, 60.0
_LOST = "renewal-interrupted"
_STILLBORN = "expired-on-arrival"

_renewing = threading.local()


class Renewal:
    """Renews one stored login. provider: its id, for messages. shared: Codex renews the same record."""

    def __init__(
        self,
        provider: str,
        store: Store,
        rotation: Rotation,
        send: Send,
        clock: Callable[[], float],
        *,
        shared: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.store = store
        self._rotation = rotation
        self._send = send
        self._clock = clock
        self._shared = shared
        self._sleep = sleep

    def run(self, known: Record, *, forced: bool = False, wait: bool = True) -> Record:
        """The record as it is to be used now: renewed by this call, or by somebody else meanwhile.

        known: what the caller has. forced: a server refused it. wait: for whoever holds the lock; else LockedError.
        Raises RenewalError, StoreError, NotSignedInError, DamagedLoginError, and ConfigError for a wrong client.
        """
        active: set[str] = _renewing.__dict__.setdefault("places", set())
        if self.store.place in active:
            raise RenewalError(f"{self.provider}: the renewal of this login would need this very login")
        active.add(self.store.place)
        try:
            with self.store.lock(wait=wait):
                return self._run(known, forced=forced)
        finally:
            active.discard(self.store.place)

    def _run(self, known: Record, *, forced: bool) -> Record:
        record = self._recovered(self.current())
        if not self._wanted(record, known, forced=forced):
            return record
        journal = self.store.journal()
        self._heed(journal, record)
        self.store.prepare(record.data)
        now = self._clock()
        intent = Intent(record.fingerprint, at=now)
        self.store.note(replace(journal, intent=intent, forced_at=now if forced else journal.forced_at))
        return self._exchange(record, UNAUTHORIZED if forced else PROACTIVE)

    def current(self) -> Record:
        """The record as it is stored now. Raises NotSignedInError, DamagedLoginError, StoreError."""
        data = self.store.read()
        if data is None:
            raise NotSignedInError(f"{self.provider}: signed out meanwhile", hint="keyfob login")
        return self._rotation.read(data)

    def _wanted(self, record: Record, known: Record, *, forced: bool) -> bool:
        journal, now = self.store.journal(), self._clock()
        if forced and record.token == known.token:
            return timing.may_be_forced(record, journal, now)
        skew = timing.skew_of(record, journal)
        return now >= timing.until_fresh(record, shared=self._shared, skew=skew, moment=1.0)

    def _heed(self, journal: Journal, record: Record) -> None:
        """Adopt the failure of another try of the same, instead of making one more."""
        outcome = journal.outcome
        known = outcome is not None and outcome.fingerprint == record.fingerprint
        if outcome and known and (outcome.permanent or outcome.waits(self._clock())):
            raise failure(outcome)

    # What an earlier renewal left

    def _recovered(self, record: Record) -> Record:
        """The table of renewal.md: what was found, and what has to be done first."""
        journal, stage = self.store.journal(), self.store.stage()
        if stage and stage.parent == record.fingerprint and self._holds_login(record, stage):
            return self._commit(record, stage)
        intent = journal.intent
        if intent is None:
            return record
        if intent.fingerprint != record.fingerprint:
            self.store.drop_stage()
        elif intent.sent and intent.attempt == 1:
            self.store.prepare(record.data)
            return self._exchange(record, PROACTIVE, attempt=2)
        elif intent.sent:
            return self._lost(record)
        self.store.note(replace(journal, intent=None))
        return record

    def _holds_login(self, record: Record, stage: Stage) -> bool:
        try:
            self._rotation.absorb(record, stage.document())
        except ValueError:
            return False
        return True

    # The exchange

    def _exchange(self, record: Record, reason: str, attempt: int = 1) -> Record:
        request = self._rotation.exchange(record, reason)
        self._intend(Intent(record.fingerprint, attempt, sent=True, at=self._clock()))
        try:
            answer = self._send(request)
        except UnreachableError as error:
            self._unsent(record, attempt)
            raise self._failed(record, "unreachable", str(error)) from error
        except ConfigError:  # certificates, proxy or URL: nothing was sent, and only the user can mend it
            self._unsent(record, attempt)
            raise
        except UnansweredError:
            return self._exchange(record, reason, attempt=2) if attempt == 1 else self._lost(record)
        if not answer.ok:
            return self._refused(record, answer, attempt, _host(request.url))
        stage = Stage(record.fingerprint, answer.body, self._clock(), answer.date)
        self.store.put_stage(stage)
        return self._commit(record, stage)

    def _intend(self, intent: Intent | None) -> None:
        self.store.note(replace(self.store.journal(), intent=intent))

    def _unsent(self, record: Record, attempt: int) -> None:
        """Nothing was presented: what was true before is true again."""
        earlier = Intent(record.fingerprint, 1, sent=True, at=self._clock()) if attempt > 1 else None
        self._intend(earlier)

    def _refused(self, record: Record, answer: Answer, attempt: int, host: str) -> Record:
        code = self._rotation.refusal(answer)
        if code is None:
            self._unsent(record, attempt)
            raise self._failed(record, f"status-{answer.status}", f"{host} answered {answer.status}", answer)
        if code == "invalid_client":  # RFC 6749, section 5.2
            self._intend(None)
            raise ConfigError(f"{self.provider}: {host} does not know the client that this login was made with")
        if attempt > 1:
            return self._lost(record)
        return self._changed(record) or self._given_up(record, code, f"{host} refused to renew the login ({code})")

    # The commit

    def _commit(self, record: Record, stage: Stage) -> Record:
        """Make the staged answer part of the record, unless that is another by now: then the disk's counts."""
        answer = stage.document()
        with self.store.writing():
            data = self.store.read()
            current = None if data is None else self._rotation.read(data)
            if current is not None and current.fingerprint == stage.parent:
                try:
                    self.store.write(self._rotation.absorb(current, answer))
                except ValueError as error:
                    self._intend(None)
                    raise self._failed(record, "no-login", f"the issuer's answer holds no login: {error}") from None
                current = self.current()
        if current is None:
            self._revoke(record, stage)
        self.store.drop_stage()
        if current is None:
            self._intend(None)
            return self.current()  # raises what there is to say
        self.store.note(self._judged(current, stage))
        return current

    def _judged(self, record: Record, stage: Stage) -> Journal:
        """The journal after a commit: how the clocks differ, or that the login was expired when it came."""
        journal = Journal(forced_at=self.store.journal().forced_at)
        if record.expires_at is None or record.expires_at > stage.at:
            return journal
        if stage.date is not None and stage.date < record.expires_at:
            return replace(journal, skew=Skew(record.fingerprint, stage.at - stage.date))
        message = f"{self.provider}: the issuer gave a login that had already expired"
        hold = Outcome(record.fingerprint, _STILLBORN, message, stage.at, not_before=stage.at + timing.STILLBORN_HOLD)
        return replace(journal, outcome=hold)

    def _revoke(self, record: Record, stage: Stage) -> None:
        """Signed out meanwhile: what came of it must not stay valid."""
        request = self._rotation.revocation(self._rotation.absorb(record, stage.document()))
        if request is not None:
            # If it fails, nothing more can be done; the user has signed out, and that stays so.
            with contextlib.suppress(UnreachableError, UnansweredError):
                self._send(request)

    # The outcome

    def _failed(self, record: Record, code: str, what: str, answer: Answer | None = None) -> RenewalError:
        """Persist a failure that may pass, so that all who wait for the same adopt it."""
        journal, now = self.store.journal(), self._clock()
        before = journal.outcome
        failures = before.failures + 1 if before and before.fingerprint == record.fingerprint else 1
        wait = answer.retry_after if answer else None
        if wait is None:
            wait = min(_FIRST_WAIT * 2 ** min(failures - 1, 10), _LAST_WAIT)
        message = f"{self.provider}: the login could not be renewed: {what}"
        not_before = now + min(wait, LONGEST_WAIT)
        outcome = Outcome(record.fingerprint, code, message, now, not_before=not_before, failures=failures)
        self.store.note(replace(journal, outcome=outcome))
        return failure(outcome)

    def _given_up(self, record: Record, code: str, what: str) -> Record:
        message = f"{self.provider}: {what}"
        outcome = Outcome(record.fingerprint, code, message, self._clock(), permanent=True)
        self.store.note(replace(self.store.journal(), intent=None, outcome=outcome))
        raise failure(outcome)

    def _lost(self, record: Record) -> Record:
        """The secret was presented twice, and no answer was kept: unless another program got one, this was its end."""
        changed = self._changed(record)
        if changed:
            return changed
        intent = self.store.journal().intent
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(intent.at if intent else self._clock()))
        return self._given_up(record, _LOST, f"the renewal of this login was interrupted at {at}, its answer is lost")

    def _changed(self, record: Record) -> Record | None:
        """Another state of the record, if one comes within the time of a second look."""
        for _ in range(int(SECOND_LOOK / _LOOK_EVERY)):
            current = self.current()
            if current.fingerprint != record.fingerprint:
                self._intend(None)
                return current
            self._sleep(_LOOK_EVERY)
        return None


def failure(outcome: Outcome) -> RenewalError:
    """The error that says what came of a renewal."""
    if not outcome.permanent:
        return RenewalError(outcome.message, hint="try again in a moment")
    kind = LostRenewalError if lost(outcome) else RefusedError
    return kind(outcome.message, hint="keyfob login")


def lost(outcome: Outcome) -> bool:
    """Whether a renewal broke off and its answer is gone, rather than that it was refused."""
    return outcome.code == _LOST


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the issuer"
