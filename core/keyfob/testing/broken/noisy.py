"""Greets whoever imports it."""

from collections.abc import Sequence
from typing import Any

from keyfob.plugin import AuthPlugin, hookimpl
from keyfob.testing.broken.parts import Static


class Noisy(Static):
    key = "import-is-silent"


print("noisy is here")  # noqa: T201  # that is its fault


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin of this module."""
    return [Noisy()]
