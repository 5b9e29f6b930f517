"""`keyfob logout`: revoke a login, and remove it from every place where it may be."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.cli.leftovers import unclaimed
from keyfob.cli.logins import login_of
from keyfob.cli.text import homely
from keyfob.credentials.ending import sign_out
from keyfob.credentials.event import Event
from keyfob.errors import EXIT_OK, EXIT_REFUSED, KeyfobError, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from keyfob.cli.commands import Parser
    from keyfob.cli.leftovers import Leftover
    from keyfob.cli.run import Session
    from keyfob.credentials.ending import SignedOut
    from keyfob.credentials.login import Login

_MAY_BE_VALID = "the login is removed here, but may still be valid"


def arguments(parser: Parser) -> None:
    """PROVIDER and --local."""
    parser.add_provider()
    parser.add_argument(
        "--local",
        action="store_true",
        help="only remove it here: the login stays valid wherever else it was copied to, and the issuer is not told",
    )


def run(options: argparse.Namespace, session: Session) -> int:
    """Sign out; exit code 1 if a place could not be cleared."""
    left = unclaimed(session, options.provider or session.host.default_id)
    try:
        login = login_of(session, options.provider, "logout")
    except KeyfobError:
        if not left:
            raise
        failed = False
    else:
        failed = _sign_out(login, session, revoke=not options.local, also=bool(left))
    return EXIT_REFUSED if _clear(left, session, local=options.local) or failed else EXIT_OK


def _clear(left: Sequence[Leftover], session: Session, *, local: bool) -> bool:
    """Remove what no working provider uses; whether a place could not be cleared."""
    failed = False
    for each in left:
        try:
            each.remove()
        except StoreError as error:
            session.terminal.error(error)
            failed = True
        else:
            session.host.announce(_ended(each, session))
            _tell_removed(each, session, local=local)
    return failed


def _tell_removed(left: Leftover, session: Session, *, local: bool) -> None:
    terminal, place = session.terminal, homely(left.store.place, session.environ.get("HOME"))
    if left.fault is None:
        terminal.note(f"{place}, which no provider uses, is removed; whoever issued it was not told")
        return
    terminal.note(f"signed out of {left.provider}: {place} is removed")
    if not local:
        terminal.warn(f"{_MAY_BE_VALID}: its issuer could not be told, because {left}")


def _ended(left: Leftover, session: Session) -> Event:
    return Event("logout", left.provider, session.host.context.clock(), left.plugin, place=left.store.place)


def _sign_out(login: Login, session: Session, *, revoke: bool, also: bool) -> bool:
    """Sign out of one provider; whether a place could not be cleared. also: something else is removed too."""
    plugin = session.host.provider(login.provider).route.plugin
    stores = session.host.stores(plugin, login.provider)
    if session.terminal.attended:
        for store in stores:
            with contextlib.suppress(StoreError):  # what stays shut is told as not cleared
                store.unlock()
    done = sign_out(login, stores, revoke=revoke)
    _tell(login, done, session)
    if not done.removed and not done.failed and not also:
        session.terminal.note(f"{login.provider}: not signed in, nothing was stored", hint="keyfob status")
    return bool(done.failed)


def _tell(login: Login, done: SignedOut, session: Session) -> None:
    terminal, home = session.terminal, session.environ.get("HOME")
    for place in done.removed:
        terminal.note(f"signed out of {login.provider}: {homely(place, home)} is removed")
    for why in done.still_valid:
        terminal.warn(f"{_MAY_BE_VALID}: {why}")
    for error in done.failed:
        terminal.error(error)
    variable = login.records.variable
    if login.records.environment_secret() is not None:
        terminal.warn(f"{variable} is set, and goes on being used", hint=f"unset {variable}")
    elif login.unattended is not None:
        terminal.warn(f"{variable} is set: the next request signs in again", hint=f"unset {variable}")
