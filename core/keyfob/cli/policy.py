"""What a command does about a stored login that breaks a rule: it removes it, and says which. A library never does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.credentials.ending import remove_forbidden
from keyfob.errors import KeyfobError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.providers import Provider


@contextlib.contextmanager
def obeyed(provider: Provider) -> Iterator[None]:
    """Around the use of a provider's credential. Raises PolicyError that says what was removed, if it was."""
    try:
        yield
    except PolicyError as error:
        raise carried_out(provider, error) from error


def carried_out(provider: Provider, error: PolicyError) -> PolicyError:
    """The error to report, once the login that it is about is removed, where the rule has it removed."""
    login = provider.login
    if login is None or not error.removes:
        return error
    try:
        removed = remove_forbidden(login)
    except KeyfobError as why:
        return PolicyError(f"{error}. The login could not be removed: {why}", hint=error.hint)
    if removed is None:
        return error
    return PolicyError(f"{removed}. The login was removed from {login.store.place}", hint=removed.hint)
