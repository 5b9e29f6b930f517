"""Keeping a new login: whether it can be used at all, whether its place takes it, and what it takes the place of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyfob.errors import (
    DamagedLoginError,
    IllegalHeaderError,
    KeyfobError,
    OccupiedError,
    OtherOriginError,
    UnsupportedLoginError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.store import Store

# Characters that a new login has at the least, ChatGPT's and any other: not every keyring takes as many.
_LEAST_SHARED, _LEAST = 3_000, 300


@dataclass(frozen=True, slots=True)
class Saved:
    """A login that was stored, and what was there in its place before.

    replaced: that login; None where nothing was, or nothing that could be read. unread: why it could not be.
    """

    record: Record
    replaced: Data | None = field(default=None, repr=False)
    unread: KeyfobError | None = None


def save(
    login: Login,
    data: Data,
    *,
    replace_damaged: bool = False,
    empty: Iterable[Store] = (),
    wait: float | None = None,
) -> Saved:
    """Put a new login in the place of whatever is there, which stays until this one is known to be good.

    replace_damaged: also of what cannot be read. empty: places that must hold none. wait: as for `Store.lock`. Raises
    CredentialError, PolicyError, StoreError, OccupiedError, and DamagedLoginError for what is there.
    """
    record = sendable(login, data)
    with login.store.lock(wait=wait), login.store.writing():
        for place in empty:
            _check_free(place)
        unread = _unread(login, replace_damaged=replace_damaged)
        sound = unread is None and login.store.read() is not None
        replaced = login.latest(login.store) if sound else None
        login.store.replace(login.bound(data))
    login.announce("login", account=record.account, place=login.store.place)
    return Saved(record, replaced, unread)


def sendable(login: Login, data: Data) -> Record:
    """The record that a new login is, if it may be sent and can be. May block. Raises CredentialError, PolicyError."""
    record = login.complete(login.records.read(data))
    login.records.credential(record)
    return record


def check_sound(login: Login) -> None:
    """Raise DamagedLoginError, UnsupportedLoginError for what is stored and would be lost; StoreError."""
    _unread(login, replace_damaged=False)


def check_can_save(login: Login, *, replace_damaged: bool = False, wait: float | None = None) -> None:
    """The same, and that the place takes a new login: before anybody is asked to make one. Leaves nothing there.

    replace_damaged, wait: as for `save`.
    """
    with login.store.lock(wait=wait), login.store.writing():
        _unread(login, replace_damaged=replace_damaged)
        login.store.probe(least(login))


def least(login: Login) -> int:
    """How many characters a new login has at the least."""
    return _LEAST_SHARED if login.shared else _LEAST


def _unread(login: Login, *, replace_damaged: bool) -> KeyfobError | None:
    """Why what is there cannot be read as ours; None where it can be, or nothing is there."""
    try:
        login.stored()
    except (OtherOriginError, IllegalHeaderError) as error:
        return error  # it was the user's own, and is of no use any more
    except (DamagedLoginError, UnsupportedLoginError) as error:
        if replace_damaged:
            return error
        raise
    return None


def _check_free(store: Store) -> None:
    if store.read() is not None:
        raise OccupiedError(f"{store.place} holds a login already")
