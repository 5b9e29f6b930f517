"""Signing in to one provider: what policy says first, then the flow, then the store, and only then the old login."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from keyfob.credentials.ending import Revoked, revoke_replaced
from keyfob.credentials.exchange import told
from keyfob.credentials.records import SignsIn
from keyfob.credentials.saving import check_can_save, save
from keyfob.errors import LockedError, SignInError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.record import Record
    from keyfob.providers import Provider

Done = TypeVar("Done")

# So long somebody else may be at the old login before that is said, and before it is given up: `--move` gives the
# command that carries it away 5 minutes. Seconds.
_SILENT, _PATIENCE = 1.0, 330.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A login that was made and stored. old: what became of the one before it, which was to be revoked."""

    record: Record
    old: Revoked


def sign_in(provider: Provider, flow: str, *, replace_damaged: bool = False, revoke_old: bool = False) -> SignedIn:
    """Sign in, and store what comes of it. A login that is there stays until that is done.

    replace_damaged: also put it in the place of what cannot be read. revoke_old: revoke the one before it.
    Before anybody is sent anywhere it raises PolicyError, DamagedLoginError, and StoreError for a place that takes no
    new login; and then SignInError, PolicyError for another workspace, StoreError.
    """
    login = provider.login
    if login is None or not isinstance(login.records, SignsIn):
        raise UsageError(f"{provider.id}: there is no signing in to it")
    provider.judge.check_new()
    _patiently(provider, partial(check_can_save, login, replace_damaged=replace_damaged))
    with told(provider.id, login.command), login.records.sign_in(flow, provider.judge.workspaces) as data:
        saved = _patiently(provider, partial(save, login, data, replace_damaged=replace_damaged))
    return SignedIn(saved.record, revoke_replaced(login, saved) if revoke_old else Revoked())


def _patiently(provider: Provider, do: Callable[..., Done]) -> Done:
    """Do what takes the lock; nobody fails, or signs in again, because somebody else is at the old login just then."""
    try:
        return do(wait=_SILENT)
    except LockedError as error:
        with contextlib.suppress(SignInError):  # nobody is there to hear it
            provider.host.context.interaction.say(f"to store the login, this waits: {error}")
    return do(wait=_PATIENCE)
