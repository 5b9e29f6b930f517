"""The login that `login`, `status` or `logout` is about."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.cli.text import printable
from keyfob.errors import KeyfobError, UnknownProviderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record
    from keyfob.providers import Provider

# The provider that has a login unless its entry is faulty.
OPENAI = "openai"


def login_of(session: Session, name: str | None, command: str) -> Login:
    """The login of a provider, by default of the default one. command: which it is for, for the hint.

    Where the default one needs none, OpenAI's, as for Codex, unless it could be another. Raises UsageError that names
    those which have one, if this one has none; UnknownProviderError, and what else is wrong with the entry. Where even
    OpenAI's has none, what is wrong with that.
    """
    provider = _provider(session, name)
    login = provider.login
    if login is not None:
        return login
    others = [each.provider for each in logins(session)] or [login_of(session, OPENAI, command).provider]
    if name is None and len(others) == len(list(logins(session, OPENAI))):
        return login_of(session, OPENAI, command)
    message = f"{provider.id} needs no login: its plugin is `{provider.plugin}`; these take one: {', '.join(others)}"
    raise UsageError(message, hint=f"keyfob {command} {others[0]}")


def _provider(session: Session, name: str | None) -> Provider:
    try:
        return session.provider(name)
    except UnknownProviderError as error:
        if name is None:
            raise
        # What was written may be a key that somebody took for an argument: it is not repeated.
        raise UnknownProviderError("there is no provider of this name", hint=error.hint) from None


def logins(session: Session, plugin: str | None = None) -> Iterator[Login]:
    """The login of each provider that has one and is not broken. plugin: only of those that go to it."""
    for name in session.host.ids:
        with contextlib.suppress(KeyfobError):
            provider = session.provider(name)
            login = provider.login if plugin in (None, provider.route.plugin) else None
            if login is not None:
                yield login


def described(login: Login, record: Record) -> str:
    """A login in a few words of one line: whose it is, and for which provider; of a key, the part that may be shown.

    Whose it is may be anybody's words, of a token or of another machine.
    """
    about = login.records.about(record)
    whose = about.email or about.account
    return f"{login.whom}: {about.method} " + (f"of {printable(whose)}" if whose else about.masked or "login")


def check_kept(login: Login) -> None:
    """Raise UsageError where what is stored would be gone with this process."""
    if login.store.kind == "ephemeral":
        raise UsageError(
            'nothing would be kept: cli_auth_credentials_store is "ephemeral"',
            hint=login.otherwise,
        )
