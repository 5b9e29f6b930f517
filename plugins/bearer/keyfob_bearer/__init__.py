"""`experimental_bearer_token`: a bearer token that stands in the configuration itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, SecretStr

from keyfob.plugin import (
    AuthPlugin,
    Context,
    MissingCredentialError,
    ProviderInfo,
    State,
    StaticAuth,
    check_secret,
    hookimpl,
    illegal_part,
)


class Options(BaseModel):
    """The key of the entry that this plugin reads."""

    experimental_bearer_token: SecretStr


class Bearer(StaticAuth[Options]):
    """Sends the token as it is written, blanks around it trimmed."""

    key = "bearer"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        """`Authorization: Bearer` and the token. Raises MissingCredentialError, IllegalHeaderError."""
        token = options.experimental_bearer_token.get_secret_value().strip()
        if not token:
            raise MissingCredentialError("experimental_bearer_token is empty", hint="use env_key, or write the token")
        check_secret(token, "experimental_bearer_token")
        return {"Authorization": f"Bearer {token}"}

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """Whether there is a token that can be sent."""
        token = options.experimental_bearer_token.get_secret_value().strip()
        problem = "empty" if not token else illegal_part(token)
        summary = f"`experimental_bearer_token` is unusable: {problem}" if problem else "ready"
        return State(not problem, summary, comes_from="experimental_bearer_token in the configuration")


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `experimental_bearer_token`."""
    return [Bearer()]
