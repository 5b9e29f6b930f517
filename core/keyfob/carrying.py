"""Carrying a login to another machine: what goes there, and when it is gone here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.carried import LARGEST, Carried
from keyfob.credentials import timing
from keyfob.credentials.ending import remove_carried
from keyfob.credentials.records import SignsIn
from keyfob.errors import NotSignedInError, RenewalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyfob.credentials.ending import SignedOut
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.store import Store
    from keyfob.providers import Provider


def without_renewal(provider: Provider, login: Login) -> tuple[Record, Carried]:
    """The login as a request would use it, and what to carry of it: all but what renews it.

    A key that is never spent is carried whole. May block. Raises UsageError for a login of which nothing can be left
    out, and what `Login.load` raises.
    """
    if login.records.environment_secret() is None:
        provider.source.get()  # renewed, where that is due
    record, records = login.load(), login.records
    left = login.read(records.without_renewal(record.data)) if isinstance(records, SignsIn) else record
    if left.secret is not None and not left.reusable:
        message = f"{login.provider}: this login cannot be carried without what renews it"
        raise UsageError(message, hint=f"keyfob login export {login.provider} --move -- ssh HOST keyfob login import")
    if timing.has_ended(left, login.clock()):
        message = f"{login.provider}: the login has expired, and would be of no use elsewhere"
        raise NotSignedInError(message, hint=login.command)
    return record, _carried(provider, left.data)


def move(
    provider: Provider, login: Login, places: Iterable[Store], hand_over: Callable[[Record, Carried], None]
) -> SignedOut:
    """Carry the whole login away, and remove it from each place here; it is not revoked.

    hand_over: gives it away, and returns once it is known to be stored elsewhere; whatever it raises, nothing is
    removed. Nobody renews the login meanwhile, for its lock is held. Raises RenewalError for one whose renewal is not
    finished, and what `Login.load` raises.
    """
    with login.store.lock():
        record = _settled(login)
        hand_over(record, _carried(provider, record.data))
        return remove_carried(login, record, places)


def _settled(login: Login) -> Record:
    """What is stored, judged; where it may be spent, its successor may lie beside it. With the lock held."""
    record = login.stored()
    if record is None:
        raise login.missing()
    intent, stage = login.store.journal().intent, login.store.stage()
    left = [intent.fingerprint if intent else None, stage.parent if stage else None]
    if record.fingerprint in left:
        message = f"{login.provider}: a renewal of this login is not finished"
        raise RenewalError(message, hint=f"keyfob check {login.provider} finishes it")
    return login.complete(record)


def _carried(provider: Provider, login: Data) -> Carried:
    carried = Carried(provider.id, provider.route.plugin, login)
    if len(carried.text) > LARGEST:
        raise UsageError(f"{provider.id}: the login is larger than {LARGEST >> 10} KiB, and cannot be carried")
    return carried
