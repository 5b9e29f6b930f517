"""One renewal, from the lock to the outcome: the secret of a login is spent once, and its successor is never lost.

lock → read again → what an earlier renewal left → prepare → intent → exchange → stage → commit → outcome. A process
that is killed at any point leaves behind what the next one needs to go on (`_recovered`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from keyfob.credentials import timing
from keyfob.credentials.absorbing import absorbed, refusal_of
from keyfob.credentials.event import unheard
from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.credentials.journal import Intent, Journal, Skew, Stage
from keyfob.credentials.outcome import EXPIRED_ON_ARRIVAL, LOST, WRONG_CLIENT, Outcome
from keyfob.credentials.record import record_in, replaced_by
from keyfob.errors import (
    DamagedLoginError,
    KeyfobError,
    NotSignedInError,
    RenewalError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyfob.credentials.event import Announce
    from keyfob.credentials.exchange import Answer, Exchange, Send
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.records import Rotation
    from keyfob.credentials.store import Store

PROACTIVE, UNAUTHORIZED = "proactive_expiry", "unauthorized_recovery"
# Before "refused" is believed: another program may be about to write what it got for the same secret. Seconds.
SECOND_LOOK = 2.0
_LOOK_EVERY = 0.05
# A clock that is further off than a time zone can be says nothing about another. Seconds.
_LARGEST_SKEW = 86_400.0

_here = threading.local()


class Renewal:
    """Renews one stored login. provider: its id, and command: what signs in to it, for messages. shared: Codex renews
    the same record. announce: told what came of it; it waits for nobody, so it may be told with the lock held."""

    def __init__(
        self,
        provider: str,
        store: Store,
        rotation: Rotation,
        send: Send,
        clock: Callable[[], float],
        *,
        shared: bool,
        command: str,
        sleep: Callable[[float], None] = time.sleep,
        announce: Announce = unheard,
    ) -> None:
        self.provider = provider
        self.store = store
        self._rotation = rotation
        self._send = send
        self._clock = clock
        self._shared = shared
        self._command = command
        self._sleep = sleep
        self._announce = announce

    def run(self, known: Record, *, forced: bool = False, wait: bool = True) -> Record:
        """The record as it is to be used now: renewed by this call, or by somebody else meanwhile.

        known: what the caller has; where by now a login is stored that is somebody else's or needs no renewal, that is
        returned as it is. forced: a server refused it. wait: for whoever holds the lock; else LockedError. Raises
        RenewalError, StoreError, NotSignedInError, DamagedLoginError, and ConfigError for what only the user can mend.
        """
        with self._entered(), self.store.lock(wait=None if wait else 0.0):
            record = self._found(known)
            if record.secret is None or (record.account is not None and record.whose != known.whose):
                return record
            return self._run(self._recovered(record), known, forced=forced)

    def refuse_itself(self) -> None:
        """Raise RenewalError in a thread that is renewing this very record, and would wait for itself."""
        if id(self.store) in _renewed_here():
            raise RenewalError(f"{self.provider}: the renewal of this login would need this very login")

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        self.refuse_itself()
        _renewed_here().add(id(self.store))
        try:
            yield
        finally:
            _renewed_here().discard(id(self.store))

    def _run(self, record: Record, known: Record, *, forced: bool) -> Record:
        refused = forced and record.token == known.token
        journal, now = self.store.journal(), self._clock()
        if not (refused and timing.may_be_forced(record, journal, now)) and not self._due(record, journal, now):
            return record
        self._prepare(record)
        self._intend(Intent(record.fingerprint, at=now, forced=refused))
        return self._exchange(record)

    def _prepare(self, record: Record) -> None:
        """See that it may be tried now and that its answer can be kept: under other programs' locks, too."""
        self._heed(record)
        with self.store.writing():
            pass
        self.store.prepare(record.data)

    def current(self) -> Record:
        """The record as it is stored now. Raises NotSignedInError, DamagedLoginError, StoreError."""
        with replaced_by(self._command):
            data = self.store.read()
            if data is None:
                raise self._signed_out()
            return record_in(self.store.place, data, self._rotation)

    def _found(self, known: Record) -> Record:
        """The same; where somebody signed out, an answer that was staged before is revoked first.

        Unless nobody knows for which origin it is: another's is none of this issuer's business.
        """
        try:
            return self.current()
        except NotSignedInError:
            stage = self.store.stage()
            if stage is not None and (self._shared or stage.parent == known.fingerprint):
                self._forsake(stage.document())
            raise

    def _signed_out(self) -> NotSignedInError:
        return NotSignedInError(f"{self.provider}: signed out meanwhile", hint=self._command)

    def _due(self, record: Record, journal: Journal, now: float) -> bool:
        skew = timing.skew_of(record, journal)
        return now >= timing.until_fresh(record, shared=self._shared, skew=skew, moment=1.0)

    def _heed(self, record: Record) -> None:
        """Adopt the failure of another try of the same, instead of making one more."""
        outcome = self.store.journal().held_against(record.fingerprint, self._clock())
        if outcome is not None:
            raise self._failure(outcome)

    def _failure(self, outcome: Outcome) -> KeyfobError:
        return outcome.error(self.provider, self._command)

    # What an earlier renewal left

    def _recovered(self, record: Record) -> Record:
        """The table of renewal.md: what was found, and what has to be done first."""
        journal, stage = self.store.journal(), self.store.stage()
        if stage and stage.parent == record.fingerprint and absorbed(self._rotation, record, stage) is not None:
            return self._commit(record, stage)
        intent = journal.intent
        if intent is None:
            return record
        if intent.fingerprint != record.fingerprint:
            self.store.drop_stage()
        elif intent.sent and not record.reusable:
            return self._resumed(record, intent)
        self._intend(None)
        return record

    def _resumed(self, record: Record, intent: Intent) -> Record:
        """The secret was presented, and no answer was kept: present it a second time.

        That ends with an answer that renews or refuses, or with none. One that settles nothing (429, 5xx, HTML) or no
        connection leaves it the second time still, which is tried again after the back-off of all failures: was it
        never spent, it works then; was it spent, its successor was lost with the first answer.
        """
        if intent.attempt > 1 or intent.refused:
            return self._ended(record)
        self._prepare(record)
        return self._exchange(record, attempt=2)

    # The exchange

    def _exchange(self, record: Record, attempt: int = 1) -> Record:
        request = self._request(record)
        before = self._sending(record, attempt)
        try:
            answer = self._send(request)
        except UnansweredError as error:
            if record.reusable:
                raise self._failed(before, record, "unanswered", str(error)) from error
            return self._exchange(record, attempt=2) if attempt == 1 else self._ended(record)
        except UnreachableError as error:
            raise self._failed(before, record, "unreachable", str(error)) from error
        except KeyfobError:  # certificates, proxy or URL: nothing was sent, and only the user can mend it
            self.store.note(before)
            raise
        return self._answered(record, answer, before, _host(request.url))

    def _request(self, record: Record) -> Exchange:
        """The request; where it cannot be made, such as without the client's secret, nothing has begun."""
        intent = self._intent(record)
        try:
            return self._rotation.exchange(record, UNAUTHORIZED if intent.forced else PROACTIVE)
        except KeyfobError:
            self._intend(intent if intent.sent else None)
            raise

    def _sending(self, record: Record, attempt: int) -> Journal:
        """Note that the secret goes out now; returns what was true before, and is so again if nothing is settled."""
        journal, intent = self.store.journal(), self._intent(record)
        self.store.note(replace(journal, intent=replace(intent, attempt=attempt, sent=True)))
        return replace(journal, intent=intent if attempt > 1 else None)

    def _answered(self, record: Record, answer: Answer, journal: Journal, host: str) -> Record:
        """journal: what is true if this answer settles nothing."""
        if not answer.ok:
            return self._refused(record, answer, journal, host)
        stage = Stage(record.fingerprint, answer.body, self._clock(), answer.date)
        with contextlib.suppress(StoreError):  # it had its room: if that is gone, the record's place may still do
            self.store.put_stage(stage)
        if absorbed(self._rotation, record, stage) is None:
            raise self._failed(journal, record, "no-login", f"{host} answered {answer.status} without a login")
        return self._commit(record, stage)

    def _refused(self, record: Record, answer: Answer, journal: Journal, host: str) -> Record:
        code = refusal_of(self._rotation, answer)
        if code == WRONG_CLIENT:
            what = "this client secret" if record.reusable else "the client that it was made with"
            variable = self._rotation.variable if record.reusable else ""
            hint = f"export {variable}=… anew" if variable else None
            raise self._failed(journal, record, code, f"{host} does not know {what}", hint=hint)
        if code is None or record.reusable:
            what = f"{host} answered {answer.status}" + (f" ({code})" if code else "")
            raise self._failed(journal, record, f"status-{answer.status}", what, answer.retry_after)
        self._intend(replace(self._intent(record), refused=code))
        return self._ended(record)

    def _intent(self, record: Record) -> Intent:
        return self.store.journal().intent or Intent(record.fingerprint)

    def _settled(self) -> Journal:
        """The journal once the issuer has renewed or refused: only then a renewal for a 401 keeps the next one off."""
        journal = self.store.journal()
        forced = journal.intent is not None and journal.intent.forced
        return replace(journal, intent=None, forced_at=self._clock() if forced else journal.forced_at)

    def _intend(self, intent: Intent | None) -> None:
        self.store.note(replace(self.store.journal(), intent=intent))

    # The commit

    def _commit(self, record: Record, stage: Stage) -> Record:
        """Make the staged answer part of the record, unless that is another by now: then the disk's counts."""
        with self.store.writing():
            current, ours = self._merged(record, stage)
        if current is None:
            self._forsake(absorbed(self._rotation, record, stage))
        self.store.drop_stage()
        settled = replace(self._settled(), outcome=None, skew=None)
        self.store.note(self._judged(settled, current, stage) if ours else settled)
        if ours:
            self._announce("renewal", account=current.account, place=self.store.place)
        return current

    def _merged(self, record: Record, stage: Stage) -> tuple[Record | None, bool]:
        """What is stored afterwards, and whether that is ours: yes where the secret that was spent was still there."""
        data = self.store.read()
        if data is None:
            return None, False
        current = record_in(self.store.place, data, self._rotation)
        if current.secret != record.secret:
            return current, False
        self.store.write(self._rotation.absorb(current, stage.document()))
        return self.current(), True

    def _forsake(self, data: Data | None) -> NoReturn:
        """Signed out meanwhile: that stays so, and what came of the renewal must not stay valid."""
        # Whatever fails, in its plugin too, nothing more can be done.
        with contextlib.suppress(Exception):
            request = None if data is None else self._rotation.revocation(data)
            if request is not None:
                self._send(request)
        self.store.clear()
        raise self._signed_out()

    def _judged(self, journal: Journal, record: Record, stage: Stage) -> Journal:
        """The journal with how the clocks differ, or that the login was expired when it came."""
        if record.expires_at is None or record.expires_at > stage.at:
            return journal
        skew = stage.at - stage.date if stage.date is not None and stage.date < record.expires_at else 0.0
        if 0 < skew < _LARGEST_SKEW:
            return replace(journal, skew=Skew(record.fingerprint, skew))
        message = "the issuer gave a login that had already expired"
        not_before = stage.at + timing.EXPIRED_ON_ARRIVAL_HOLD
        hold = Outcome(record.fingerprint, EXPIRED_ON_ARRIVAL, message, stage.at, not_before=not_before)
        return replace(journal, outcome=hold)

    # The outcome

    def _failed(
        self,
        journal: Journal,
        record: Record,
        code: str,
        what: str,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> KeyfobError:
        """Persist a failure that may pass, so that all who wait for the same adopt it. retry_after: seconds."""
        message = f"the login could not be renewed: {what}"
        outcome = Outcome.of_failure(journal.outcome, record.fingerprint, code, message, self._clock(), retry_after)
        outcome = replace(outcome, hint=hint)
        self.store.note(replace(journal, outcome=outcome))
        return self._failure(outcome)

    def _ended(self, record: Record) -> Record:
        """The secret is spent and no successor was kept, unless another program has it: look before that is said."""
        changed = self._changed(record)
        if changed:
            return changed
        intent = self._intent(record)
        code, what = LOST, f"the renewal of this login was interrupted at {intent.since}, its answer is lost"
        if intent.refused and intent.attempt == 1:
            code, what = intent.refused, f"its issuer refused to renew the login ({intent.refused})"
        outcome = Outcome(record.fingerprint, code, what, self._clock(), permanent=True)
        self.store.note(replace(self._settled(), outcome=outcome))
        self._announce("refused", account=record.account, code=code, place=self.store.place)
        raise self._failure(outcome)

    def _changed(self, record: Record) -> Record | None:
        """Another state of the record, if one comes within the time of a second look."""
        for _ in range(int(SECOND_LOOK / _LOOK_EVERY)):
            with contextlib.suppress(DamagedLoginError):  # another program may be writing it just now
                current = self.current()
                if current.fingerprint != record.fingerprint:
                    self._intend(None)
                    return current
            self._sleep(_LOOK_EVERY)
        return None


def _renewed_here() -> set[int]:
    """The stores whose records this thread is renewing, by identity."""
    found: set[int] = _here.__dict__.setdefault("stores", set())
    return found


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the issuer"
