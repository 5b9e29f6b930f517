"""Ending a login: revoked at its issuer, as far as that can be reached, and removed from where it is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.errors import (
    DamagedLoginError,
    KeyfobError,
    OtherOriginError,
    PolicyError,
    StoreError,
    UnsupportedLoginError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.saving import Saved
    from keyfob.credentials.store import Store

_ENDS_BY_ITSELF = "it cannot be revoked from here, and ends by itself"


@dataclass(frozen=True, slots=True)
class SignedOut:
    """What came of signing out.

    removed: the places that held a login and no longer do. failed: why one could not be cleared. still_valid: why a
    login that is removed here may go on being accepted.
    """

    removed: tuple[str, ...] = ()
    failed: tuple[StoreError, ...] = ()
    still_valid: tuple[str, ...] = ()


def sign_out(login: Login, places: Iterable[Store], *, revoke: bool = True) -> SignedOut:
    """Sign out: revoke the login, as far as its issuer can be reached, and remove it from every place.

    A place that cannot be cleared does not keep another from being. Nothing is raised.
    """
    still_valid: list[str] = []
    told = still_valid if revoke else None
    done = _from_each(login, places, lambda store: not _empty(store) and _removed(login, store, told))
    return replace(done, still_valid=tuple(still_valid))


def remove_carried(login: Login, record: Record, places: Iterable[Store]) -> SignedOut:
    """Remove this very state of the login from each place, once it is kept elsewhere. With the lock held.

    Nothing is revoked, and what is another login by now stays. Nothing is raised.
    """
    return _from_each(login, places, lambda store: _removed_if_held(login, store, record))


def _from_each(login: Login, places: Iterable[Store], remove: Callable[[Store], bool]) -> SignedOut:
    """What came of removing it from each. remove: whether there was something to remove."""
    removed: list[str] = []
    failed: list[StoreError] = []
    for store in places:
        try:
            if remove(store):
                removed.append(store.place)
                login.announce("logout", place=store.place)
        except StoreError as error:
            failed.append(error)
    return SignedOut(tuple(removed), tuple(failed))


def _removed_if_held(login: Login, store: Store, record: Record) -> bool:
    with store.writing():
        held = _holds(login, store, record)
        if held:
            store.delete()
    return held


def _holds(login: Login, store: Store, record: Record) -> bool:
    try:
        data = store.read()
        return data is not None and login.records.read(data).fingerprint == record.fingerprint
    except (DamagedLoginError, UnsupportedLoginError, OtherOriginError):
        return False


def remove_forbidden(login: Login) -> PolicyError | None:
    """Remove the stored login if it breaks a rule that has it removed.

    Returns what it broke; None where nothing was removed. Of two places only the one that is read. Nothing is
    revoked, as in Codex: other machines may be under other rules. Raises StoreError, CredentialError.
    """
    with login.store.lock():
        record = login.stored()
        broken = None if record is None else _broken_by(login, record)
        if record is None or broken is None or not broken.removes:
            return None
        with login.store.writing():
            current = login.stored()
            if current is None or current.fingerprint != record.fingerprint:
                return None
            login.store.delete()
    login.announce("logout", account=record.account, code=broken.code, place=login.store.place)
    return broken


def _broken_by(login: Login, record: Record) -> PolicyError | None:
    try:
        login.complete(record)
    except PolicyError as error:
        return error
    return None


def _removed(login: Login, store: Store, still_valid: list[str] | None) -> bool:
    """Whether there was something to remove. still_valid: told why it could not be revoked; None: do not try."""
    with store.lock():
        if _empty(store):  # somebody else was at it
            return False
        why = None if still_valid is None else _not_revoked(login, store)
        with store.writing():
            store.delete()
    if why is not None and still_valid is not None:
        still_valid.append(why)
    return True


def _not_revoked(login: Login, store: Store) -> str | None:
    """Revoke the login in this place; why it could not be, or None."""
    try:
        data = login.latest(store)
    except Exception as error:  # noqa: BLE001  # a plugin that breaks keeps nobody from signing out
        return _untold(error)
    return None if data is None else revoke(login, data).still_valid


def _untold(error: Exception) -> str:
    """Why the issuer was not told of a login; of what a plugin breaks on only the kind: its text may hold a secret."""
    if isinstance(error, DamagedLoginError | UnreachableError | UnansweredError):
        return f"its issuer could not be told of it ({error})"
    return str(error) if isinstance(error, KeyfobError) else f"its auth plugin broke: {type(error).__name__}"


class Revoked(NamedTuple):
    """What came of revoking a login: whether its issuer did, or why it may still be valid; neither where there was
    nothing to revoke."""

    done: bool = False
    still_valid: str | None = None


def revoke_replaced(login: Login, saved: Saved) -> Revoked:
    """Revoke the login that another was put in the place of.

    An issuer that does not rotate gives the same refresh token to both: then there is nothing to revoke.
    """
    if saved.unread is not None:
        return Revoked(still_valid=_untold(saved.unread))
    old, new = saved.replaced, saved.record
    if old is None or (login.records.read(old).secret == new.secret and not new.reusable):
        return Revoked()
    return revoke(login, old)


def revoke(login: Login, data: Data) -> Revoked:
    """Revoke a login, wherever it is. Nothing is raised."""
    try:
        request = login.rotation.revocation(data) if login.rotation else None
        if request is None:
            return Revoked(still_valid=_ENDS_BY_ITSELF if _ends_by_itself(login, data) else None)
        answer = login.send(request)
    except Exception as error:  # noqa: BLE001  # a plugin, or the way to the issuer, keeps nobody from signing out
        return Revoked(still_valid=_untold(error))
    return Revoked(done=True) if answer.ok else Revoked(still_valid=f"its issuer answered {answer.status}")


def _ends_by_itself(login: Login, data: Data) -> bool:
    """Whether it is accepted for a while yet, and what renews it is elsewhere."""
    try:
        record = login.records.read(data)
    except KeyfobError:
        return False
    return record.secret is None and record.expires_at is not None and login.clock() < record.expires_at


def _empty(store: Store) -> bool:
    """Whether nothing is there, and no issuer's answer to a renewal that found the login gone."""
    try:
        return store.read() is None and store.stage() is None
    except DamagedLoginError:
        return False
