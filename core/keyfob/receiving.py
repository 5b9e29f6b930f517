"""Receiving a login from another machine: what may be stored here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.carried import WAY
from keyfob.credentials import timing
from keyfob.credentials.exchange import told
from keyfob.credentials.records import SignsIn
from keyfob.credentials.saving import save
from keyfob.errors import (
    CarriedLoginError,
    DamagedLoginError,
    IllegalHeaderError,
    OtherOriginError,
    UnsupportedLoginError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keyfob.carried import Carried
    from keyfob.credentials.login import Login
    from keyfob.credentials.saving import Saved
    from keyfob.credentials.store import Store
    from keyfob.providers import Provider


def take(provider: Provider, login: Login, carried: Carried, places: Iterable[Store], *, replace: bool) -> Saved:
    """Store a login that came from another machine, if it is one for this provider.

    places: where a login of this provider may be; unless `replace`, none of them may hold one. Raises
    CarriedLoginError, OccupiedError, PolicyError, StoreError, DamagedLoginError for what is there, and SignInError
    where its issuer has to be asked and is not there.
    """
    if provider.route.plugin != carried.plugin:
        message = f"{provider.id} goes to plugin `{provider.route.plugin}` here, and went to another one there"
        raise CarriedLoginError(message, hint=f"keyfob explain {provider.id}, on both machines")
    with _told_of_what_was_carried(login):
        record = login.read(carried.login, "the exported login")
        if timing.has_ended(record, login.clock()):
            raise CarriedLoginError(f"{provider.id}: the login that was received has expired", hint="export it again")
        data = login.records.imported(record.data) if isinstance(login.records, SignsIn) else record.data
    return save(login, data, replace_damaged=replace, empty=() if replace else places)


@contextlib.contextmanager
def _told_of_what_was_carried(login: Login) -> Iterator[None]:
    """Say of each way in which a login can be wrong that this one was received, not stored."""
    try:
        with told(login.provider, "export it again"):
            yield
    except OtherOriginError as error:
        hint = f"keyfob explain {login.provider}, on both machines: they have to say the same"
        raise CarriedLoginError(str(error), hint=hint) from None
    except (DamagedLoginError, UnsupportedLoginError, IllegalHeaderError) as error:
        raise CarriedLoginError(str(error), hint=WAY) from None
