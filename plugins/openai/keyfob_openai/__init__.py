"""`requires_openai_auth`: the OpenAI login. Until sign-in is built, every such entry is not signed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyfob.plugin import (
    AuthPlugin,
    Context,
    NoOptions,
    NotSignedInError,
    ProviderInfo,
    State,
    StaticAuth,
    hookimpl,
)

API_BASE_URL = "https://api.openai.com/v1"


class OpenAI(StaticAuth[NoOptions]):
    """Knows where OpenAI's API is, and that nobody is signed in."""

    key = "openai"

    def headers(self, options: NoOptions, context: Context) -> Mapping[str, str]:
        """Raises NotSignedInError."""
        raise NotSignedInError("not signed in to OpenAI: this version of keyfob has no OpenAI sign-in yet")

    def base_url(self, provider: ProviderInfo, options: NoOptions, context: Context) -> str:
        """OpenAI's API."""
        return API_BASE_URL

    def state(self, provider: ProviderInfo, options: NoOptions, context: Context) -> State:
        """Not signed in."""
        return State(ready=False, summary="not signed in", comes_from="the OpenAI login")


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `requires_openai_auth`."""
    return [OpenAI()]
