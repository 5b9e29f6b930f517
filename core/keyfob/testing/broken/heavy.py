"""Loads an HTTP library before anybody has asked for anything."""

from collections.abc import Sequence
from typing import Any

import httpx

from keyfob.plugin import AuthPlugin, hookimpl
from keyfob.testing.broken.parts import Static


class Heavy(Static):
    key = "import-is-light"
    library = httpx.__name__


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin of this module."""
    return [Heavy()]
