"""What is to be done for one program: the edits of its files, in the order in which they are written."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.errors import CredentialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.cli.installing.edits import Edit
    from keyfob.providers import Provider


@dataclass(frozen=True, slots=True)
class Plan:
    """The edits. remark: where there are none, why nothing is to be done. hint: what to do about that.

    after: once it is done, what to know and what to do.
    """

    edits: Sequence[Edit] = ()
    remark: str = ""
    hint: str | None = None
    after: Sequence[tuple[str, str | None]] = ()


def check_token_suffices(provider: Provider, whom: str, headers: Sequence[str] = ("authorization",)) -> None:
    """Raise UsageError for a provider whose credential is no single token, or none that `whom` sends in its headers."""
    name = provider.id
    if provider.route.key is None:
        raise UsageError(f"{name} is sent no credential: there is nothing for {whom} to ask for")
    if provider.signing.signer is not None:
        message = f"{name} signs each request: there is no token for {whom} to ask for"
        raise UsageError(message, hint=f"keyfob request PATH --provider {name}")
    needed = provider.state().headers
    sent = any(each.lower() in headers for each in needed)
    if needed and (not sent or _is_more_than_a_token(provider)):
        message = f"{name} is authenticated by {', '.join(needed)}, and {whom} sends a bearer token and nothing else"
        raise UsageError(message, hint=f"keyfob headers {name}")


def _is_more_than_a_token(provider: Provider) -> bool:
    """Whether the credential, where it is at hand, is known to be no single token."""
    with contextlib.suppress(CredentialError):
        known = provider.source.peek()
        return known is not None and known.token is None
    return False


def not_ready(provider: Provider) -> list[tuple[str, str | None]]:
    """That there is no credential yet, where that is known, and what to do."""
    if provider.login is None:
        return []
    found = provider.standing(provider.login)
    return [] if found.usable else [(f"there is no credential for {provider.id} yet ({found.state})", found.hint)]
