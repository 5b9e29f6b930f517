"""`keyfob login`: store a key or a token, in the place of what was stored before."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from keyfob.cli.logins import login_of
from keyfob.cli.secret import agreed, secret
from keyfob.cli.text import homely
from keyfob.errors import DamagedLoginError, UsageError

if TYPE_CHECKING:
    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data

_METHODS = {"api-key": "API key", "access-token": "access token"}


class _Refused(argparse.Action):
    """The option that Codex had once: what was written behind it is not repeated."""

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise UsageError."""
        message = "a key is never an argument: everybody on this machine can read those, and your shell has noted it"
        raise UsageError(message, hint="printenv OPENAI_API_KEY | keyfob login --with-api-key")


def arguments(parser: Parser) -> None:
    """PROVIDER and the method."""
    parser.repeats = False  # a key may be among them by mistake
    parser.usage = "keyfob login [PROVIDER] --with-api-key | --with-access-token\n       keyfob login status [PROVIDER]"
    parser.add_provider()
    for method, what in _METHODS.items():
        words = f"store an {what}: typed without being shown, or read from stdin"
        parser.add_argument(f"--with-{method}", action="append_const", const=method, dest="methods", help=words)
    parser.add_argument("--replace", action="store_true", help="also replace a stored login that cannot be read")
    parser.add_argument("--api-key", nargs="?", action=_Refused, help=argparse.SUPPRESS)
    parser.epilog = "A ChatGPT login is made by `codex login`, and used as it is."


def run(options: argparse.Namespace, session: Session) -> int:
    """Read it, and store it."""
    login = login_of(session, options.provider, "login")
    method = _method(login, options.methods or [])
    if login.store.kind == "ephemeral":
        raise UsageError(
            'nothing would be kept: cli_auth_credentials_store is "ephemeral"',
            hint=f"export {login.records.variable}=…",
        )
    if session.terminal.attended:
        login.store.unlock()  # before the secret is asked for, which would be in vain
    given = secret(_METHODS[method], login.whom, session.terminal)
    _save(login, login.records.made(method, given), session, replace=options.replace)
    _tell(login, method, session)
    return 0


def _method(login: Login, named: list[str]) -> str:
    possible = login.records.methods
    ways = " or ".join(f"keyfob login {login.provider} --with-{method}" for method in possible)
    if len(named) > 1:
        raise UsageError("one method at a time", hint=ways)
    if not named:
        kinds = " or ".join(f"an {_METHODS[method]}" for method in possible)
        chatgpt = "; a ChatGPT login is made by `codex login`, and used as it is" if login.shared else ""
        raise UsageError(f"say how to sign in to {login.provider}: with {kinds}{chatgpt}", hint=ways)
    if named[0] not in possible:
        raise UsageError(f"{login.provider} takes no {_METHODS[named[0]]}", hint=ways)
    return named[0]


def _save(login: Login, data: Data, session: Session, *, replace: bool) -> None:
    """Save it; over what cannot be read only with the user's word."""
    try:
        login.save(data, replace_damaged=replace)
    except DamagedLoginError as error:
        if not agreed(f"{error}. Replace it?", session.terminal):
            hint = f"add --replace to give it up, or move {login.store.place} away first"
            raise DamagedLoginError(f"{error}; nothing was stored", hint=hint) from None
        login.save(data, replace_damaged=True)


def _tell(login: Login, method: str, session: Session) -> None:
    """Where it is, who is sent it, and what still goes before it."""
    terminal, place = session.terminal, homely(login.store.place, session.environ.get("HOME"))
    why = f" ({login.store.kind}: {login.store.remark})" if login.store.remark else ""
    terminal.note(f"the {_METHODS[method]} for {login.whom} is stored: {place}{why}")
    if login.records.given() is not None:
        variable = login.records.variable
        terminal.warn(f"{variable} is set, and goes before it: unset {variable}, for the stored one to be used")
    elif method == "api-key":  # whose an access token is, its issuer was asked
        terminal.note(f"it is checked when a request is sent: keyfob check {login.provider}")
