"""Offers a plugin that nobody declares, and that nobody will ever be routed to."""

from collections.abc import Sequence
from typing import Any

from keyfob.plugin import AuthPlugin, hookimpl
from keyfob.testing.broken.parts import Static


class Declared(Static):
    key = "declared"


class Forgotten(Static):
    key = "forgotten"


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """Two, of which metadata name one."""
    return [Declared(), Forgotten()]
