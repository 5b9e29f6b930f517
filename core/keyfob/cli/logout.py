"""`keyfob logout`: make a login worthless, and remove it from every place where it may be."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.cli.logins import login_of
from keyfob.cli.text import homely
from keyfob.errors import EXIT_OK, EXIT_REFUSED, StoreError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login, SignedOut


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
    login = login_of(session, options.provider, "logout")
    plugin = session.host.provider(login.provider).route.plugin
    stores = session.host.stores(plugin, login.provider)
    if session.terminal.attended:
        for store in stores:
            with contextlib.suppress(StoreError):  # what stays shut is told as not cleared
                store.unlock()
    done = login.remove(stores, revoke=not options.local)
    _tell(login, done, session)
    return EXIT_REFUSED if done.failed else EXIT_OK


def _tell(login: Login, done: SignedOut, session: Session) -> None:
    terminal, home = session.terminal, session.environ.get("HOME")
    for place in done.removed:
        terminal.note(f"signed out of {login.provider}: {homely(place, home)} is removed")
    for why in done.still_valid:
        terminal.warn(f"the login is removed here, but may still be valid: {why}")
    for error in done.failed:
        terminal.error(error)
    if not done.removed and not done.failed:
        terminal.note(f"{login.provider}: not signed in, nothing was stored")
    if login.records.given() is not None:
        variable = login.records.variable
        terminal.warn(f"{variable} is set, and goes on being used: unset {variable}")
