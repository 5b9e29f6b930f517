"""The hooks a plugin's module may have, and no others. They register and hear; no credential passes through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.credentials.event import Event
    from keyfob.plugin.contract import AuthPlugin

hookspec = pluggy.HookspecMarker("keyfob")
hookimpl = pluggy.HookimplMarker("keyfob")


@hookspec
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:  # type: ignore[empty-body]  # plugins fill it
    """Return the auth plugins of this module; each entry point in group `keyfob.auth` names the key of one of them."""


@hookspec
def keyfob_providers() -> Mapping[str, Mapping[str, Any]]:  # type: ignore[empty-body]  # plugins fill it
    """Return the provider entries of this module, by id; each id is an entry point in group `keyfob.providers`."""


@hookspec
def keyfob_event(event: Event) -> None:
    """Be told of what happened to a login or a credential: names and times, never a secret.

    Its entry point is in group `keyfob.events`; its module is imported when there is the first to tell of. It is called
    in a thread of its own, with one event after the other, and nobody waits for it: it may block, but at the end of a
    process it has two seconds for what is left. What it raises is told once, what it returns is not used.
    """
