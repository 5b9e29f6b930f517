"""No authentication: for local models, and for providers that tell who calls in another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyfob.plugin import AuthPlugin, Context, NoOptions, ProviderInfo, State, StaticAuth, hookimpl


class NoAuth(StaticAuth[NoOptions]):
    """Sets no header."""

    key = "none"

    def headers(self, options: NoOptions, context: Context) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def state(self, provider: ProviderInfo, options: NoOptions, context: Context) -> State:
        """Always ready."""
        return State(ready=True, summary="ready", comes_from="no credential is needed", headers=())


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for entries that name no way to authenticate."""
    return [NoAuth()]
