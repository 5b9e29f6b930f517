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
    """The edits; none where nothing is to be done, and then `remark` says why. hint: what to do about that.

    after: once it is done, what to know and what to do.
    """

    edits: Sequence[Edit] = ()
    remark: str = ""
    hint: str | None = None
    after: Sequence[tuple[str, str | None]] = ()


def see_that_a_token_will_do(provider: Provider, whom: str, headers: Sequence[str] = ("authorization",)) -> None:
    """Raise UsageError for a provider whose credential is no single token, or none that `whom` sends in its headers."""
    if provider.signing.signer is not None:
        raise UsageError(
            f"{provider.id} signs each request: there is no token that {whom} could ask for",
            hint=f"keyfob request PATH --provider {provider.id}",
        )
    needed = provider.state().headers
    with contextlib.suppress(CredentialError):
        known = provider.source.peek()  # it never waits
        if known is not None and known.headers and known.token is None:
            raise UsageError(
                f"{provider.id} is not authenticated by a single token, but by {', '.join(needed)}",
                hint=f"keyfob headers {provider.id}",
            )
    if needed and not any(name.lower() in headers for name in needed):
        raise UsageError(
            f"{provider.id} is authenticated by {', '.join(needed)}, and {whom} sends a bearer token",
            hint=f"keyfob headers {provider.id}",
        )


def not_ready(provider: Provider) -> list[tuple[str, str | None]]:
    """That there is no credential yet, where that is known, and what to do."""
    if provider.login is None:
        return []
    found = provider.standing(provider.login)
    return [] if found.usable else [(f"there is no credential for {provider.id} yet ({found.state})", found.hint)]
