"""`keyfob login`: sign in, or store a key or a token, in the place of what was stored before."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

from keyfob.cli.ending import interrupted_once
from keyfob.cli.interaction import AtTerminal
from keyfob.cli.logins import check_kept, login_of
from keyfob.cli.secret import agreed, secret
from keyfob.cli.text import homely
from keyfob.cli.ways import again, way
from keyfob.credentials.saving import check_sound, save
from keyfob.errors import (
    DamagedLoginError,
    DisabledFlowError,
    KeyfobError,
    PortError,
    SignInError,
    UnsupportedLoginError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.cli.terminal import Terminal
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data
    from keyfob.signin import SignedIn

_ISSUER = "KEYFOB_OPENAI_ISSUER"
_METHODS = {"api-key": "API key", "access-token": "access token"}


class _NoData(argparse.Action):
    """--json, which other commands have."""

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise UsageError."""
        raise UsageError("`keyfob login` prints no data, so it takes no --json", hint="keyfob status --json")


class _Refused(argparse.Action):
    """The option that Codex had once: what was written behind it is not repeated."""

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise UsageError."""
        message = "a key is never an argument: everybody on this machine can read those, and your shell has noted it"
        raise UsageError(message, hint="printenv OPENAI_API_KEY | keyfob login --with-api-key")


def arguments(parser: Parser) -> None:
    """PROVIDER and the way."""
    parser.repeats = False  # a key may be among them by mistake
    parser.usage = "keyfob login [PROVIDER] [OPTIONS]\n       keyfob login status|export|import [PROVIDER]"
    parser.add_provider()
    words = "sign in with a code that you enter on another device"
    parser.add_argument("--device-auth", action="append_const", const="device", dest="ways", help=words)
    for method, what in _METHODS.items():
        words = f"store an {what}: typed without being shown, or read from stdin"
        parser.add_argument(f"--with-{method}", action="append_const", const=method, dest="ways", help=words)
    parser.add_argument("--no-browser", action="store_true", help="only print the address, and open no browser")
    parser.add_argument("--revoke-old", action="store_true", help="revoke the login that is replaced, once it is")
    parser.add_argument("--replace", action="store_true", help="also replace a stored login that cannot be read")
    parser.add_argument("--json", nargs=0, action=_NoData, help=argparse.SUPPRESS)
    parser.add_argument("--api-key", nargs="?", action=_Refused, help=argparse.SUPPRESS)
    parser.add_argument("--experimental_issuer", help=argparse.SUPPRESS)
    parser.add_argument("--experimental_client-id", help=argparse.SUPPRESS)


def run(options: argparse.Namespace, session: Session) -> int:
    """Sign in, or read a key, and store it."""
    _obey_as_codex(options, session)
    session.interaction = person = AtTerminal(session.terminal, session.environ, browses=not options.no_browser)
    login = login_of(session, options.provider, "login")
    check_kept(login)
    named = options.ways or (["browser"] if options.no_browser else [])
    chosen = way(login, named, session.terminal, session.environ)
    if session.terminal.attended:
        login.store.unlock()  # before anything is asked for, which would be in vain
    options.replace = options.replace or _given_up(login, session)
    if chosen in _METHODS:
        _keep(login, chosen, session.terminal, replace=options.replace)
    else:
        with person:
            done = _sign_in(login, chosen, options, session)
        _welcome(login, done, session.terminal)
    _tell(login, chosen, session)
    return 0


def _keep(login: Login, method: str, terminal: Terminal, *, replace: bool) -> None:
    """Read a key or a token, and store it."""
    given = secret(_METHODS[method], login.whom, terminal)
    save(login, login.records.data_for(method, given), replace_damaged=replace)


def _obey_as_codex(options: argparse.Namespace, session: Session) -> None:
    """Codex's options for its own tests: the issuer counts for a device code alone, the client id never."""
    if options.experimental_issuer and "device" in (options.ways or ()):
        session.environ = {**session.environ, _ISSUER: options.experimental_issuer}
    elif options.experimental_issuer:
        session.terminal.warn("--experimental_issuer has no effect without --device-auth, as in Codex")
    if options.experimental_client_id:
        session.terminal.warn("--experimental_client-id has no effect, as in Codex")


def _given_up(login: Login, session: Session) -> bool:
    """Whether what is there and is of no use here is to be replaced: only with the user's word."""
    try:
        check_sound(login)
    except (DamagedLoginError, UnsupportedLoginError) as error:
        if not agreed(f"{error}. Replace it?", session.terminal):
            hint = f"add --replace to give it up, or move {login.store.place} away first"
            raise type(error)(f"{error}; nothing was stored", hint=hint) from None
        return True
    return False


def _sign_in(login: Login, flow: str, options: argparse.Namespace, session: Session) -> SignedIn:
    """Sign in; where the browser has no port to come back to, with a code, if that is wanted."""
    from keyfob.signin import sign_in

    provider = session.host.provider(login.provider)
    try:
        with _told_of_the_end(login, session.terminal):
            return sign_in(provider, flow, replace_damaged=options.replace, revoke_old=options.revoke_old)
    except PortError as error:
        if flow == "device" or "device" not in login.flows:  # a code was no way either
            raise
        if not agreed(f"{error}. Sign in with a code instead?", session.terminal):
            error.hint = f"{login.command} --device-auth"
            raise
        return _sign_in(login, "device", options, session)
    except DisabledFlowError:  # it knows another way; the same one again would end as this one has
        raise
    except SignInError as error:
        if error.hint == login.command:
            error.hint = again(login, flow, browses=not options.no_browser)
        raise


@contextlib.contextmanager
def _told_of_the_end(login: Login, terminal: Terminal) -> Iterator[None]:
    """Where somebody gives up, say whether anything was stored: they may do so in the moment after it was."""
    before = _kept(login)
    with interrupted_once():
        try:
            yield
        except KeyboardInterrupt:
            stored = _kept(login) != before
            terminal.note("given up; " + ("the new login was stored before that" if stored else "nothing was stored"))
            raise


def _kept(login: Login) -> Data | None:
    with contextlib.suppress(KeyfobError):
        return login.store.read()
    return None


def _welcome(login: Login, done: SignedIn, terminal: Terminal) -> None:
    """As whom one is signed in, as far as the login tells; and what became of the one before."""
    about = login.records.about(done.record)
    whose = about.email or about.account
    more = {"plan": about.plan, "workspace": about.workspace}
    told = ", ".join(f"{name} {value}" for name, value in more.items() if value)
    terminal.note(f"signed in to {login.whom}" + (f" as {whose}" if whose else "") + (f" ({told})" if told else ""))
    if done.old.done:
        terminal.note("the login that was replaced is revoked")
    elif done.old.still_valid is not None:
        terminal.warn(f"the login that was replaced may still be valid: {done.old.still_valid}")


def _tell(login: Login, chosen: str, session: Session) -> None:
    """Where it is, who is sent it, and what still goes before it."""
    terminal, place = session.terminal, homely(login.store.place, session.environ.get("HOME"))
    why = f" ({login.store.kind}: {login.store.remark})" if login.store.remark else ""
    what = f"the {_METHODS[chosen]}" if chosen in _METHODS else "the login"
    stored = f"{what} for {login.whom} is stored: {place}{why}"
    if login.records.environment_secret() is None:
        terminal.note(stored, hint=f"keyfob check {login.provider}")
    else:
        variable = login.records.variable
        terminal.note(stored)
        terminal.warn(f"{variable} is set, and goes before it", hint=f"unset {variable}")
