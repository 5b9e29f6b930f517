"""`keyfob login import`: store what `keyfob login export` printed on another machine; it comes from stdin.

What it prints on stdout is the receipt, by which the other side knows that the login is stored.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keyfob.cli.logins import check_kept, described, login_of, logins
from keyfob.cli.secret import typing
from keyfob.cli.text import homely
from keyfob.cli.times import rfc3339
from keyfob.errors import CarriedLoginError, DamagedLoginError, OccupiedError, UnknownProviderError, UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.carried import Carried
    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record
    from keyfob.credentials.saving import Saved

_REPLACE = "keyfob login import --replace gives up what is there"


def arguments(parser: Parser) -> None:
    """PROVIDER and --replace."""
    parser.repeats = False  # what was to be piped in may be among them by mistake
    parser.usage = "keyfob login import [PROVIDER] [--replace]"
    parser.add_argument(
        "provider", nargs="?", metavar="PROVIDER", help="whose login it becomes here (default: whose it was there)"
    )
    parser.add_argument("--replace", action="store_true", help="put it in the place of the login that is here")


def run(options: argparse.Namespace, session: Session) -> int:
    """Read it, judge it, store it."""
    from keyfob.carried import LARGEST, Carried

    if typing():
        hint = "keyfob login export PROVIDER | ssh HOST keyfob login import"
        raise UsageError("a login comes through a pipe, from another machine", hint=hint)
    carried = Carried.parsed(b"" if sys.stdin is None else sys.stdin.buffer.read(LARGEST + 1))
    login = _login_for(carried, options.provider, session)
    check_kept(login)
    if session.terminal.attended:
        login.store.unlock()
    saved = _taken(carried, login, session, replace=options.replace)
    _tell(login, saved.record, session)  # first: it is stored, also where the receipt cannot be written
    session.terminal.data(carried.receipt)
    session.terminal.flush()
    return 0


def _login_for(carried: Carried, name: str | None, session: Session) -> Login:
    """Of the provider that is named here, else there."""
    try:
        return login_of(session, carried.provider if name is None else name, "login import")
    except UnknownProviderError:
        if name is not None:
            raise
        fitting = [each.provider for each in logins(session) if _plugin(each, session) == carried.plugin]
        message = f"the login that was received is for {carried.named}, and none of that name is configured here"
        hint = f"name one that is: keyfob login import {fitting[0]}" if fitting else "configure it as it is there"
        raise CarriedLoginError(message, hint=hint) from None


def _plugin(login: Login, session: Session) -> str:
    return session.host.provider(login.provider).route.plugin


def _taken(carried: Carried, login: Login, session: Session, *, replace: bool) -> Saved:
    from keyfob.receiving import take

    provider = session.host.provider(login.provider)
    places = session.host.stores(provider.route.plugin, provider.id)
    try:
        return take(provider, login, carried, places, replace=replace)
    except (OccupiedError, DamagedLoginError) as error:
        raise type(error)(f"{error}; nothing was stored", hint=_REPLACE) from None


def _tell(login: Login, record: Record, session: Session) -> None:
    terminal, until = session.terminal, rfc3339(record.expires_at)
    place = homely(login.store.place, session.environ.get("HOME"))
    terminal.note(f"{described(login, record)}, is stored: {place}")
    if record.secret is None and until:
        terminal.note(f"it can be used until {until}, and cannot be renewed here")
    if login.records.environment_secret() is not None:
        variable = login.records.variable
        terminal.warn(f"{variable} is set, and goes before it: unset {variable}, for the stored one to be used")
