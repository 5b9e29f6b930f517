"""`env_key`: an API key in an environment variable, sent as a bearer token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from keyfob.plugin import (
    AuthPlugin,
    Context,
    CredentialSource,
    IllegalHeaderError,
    MissingCredentialError,
    ProviderInfo,
    State,
    StaticAuth,
    StaticSource,
    hookimpl,
    illegal_part,
)


class Options(BaseModel):
    """The keys of the entry that this plugin reads."""

    env_key: str
    env_key_instructions: str | None = None


class EnvKey(StaticAuth[Options]):
    """Reads the variable whenever a credential is asked for; blanks around the value are trimmed."""

    key = "envkey"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        """`Authorization: Bearer` and the variable's value. Raises MissingCredentialError, IllegalHeaderError."""
        value = context.environ.get(options.env_key, "").strip()
        if not value:
            raise _missing(options)
        illegal = illegal_part(value)
        if illegal:
            message = f"the value of {options.env_key} cannot stand in an HTTP header: it has {illegal}"
            raise IllegalHeaderError(message, hint=f"set {options.env_key} anew; a copied key is one line of ASCII")
        return {"Authorization": f"Bearer {value}"}

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        """A source that looks at the variable for each request, and at the rest only when it has changed."""
        read, variable = partial(self.headers, options, context), partial(context.environ.get, options.env_key)
        return StaticSource(read, watch=variable)

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """Whether the variable is set to something that can be sent."""
        value = context.environ.get(options.env_key, "").strip()
        summary = "ready"
        if not value:
            summary = f"`{options.env_key}` not set"
        elif illegal := illegal_part(value):
            summary = f"`{options.env_key}` has {illegal}"
        return State(summary == "ready", summary, comes_from=f"environment variable {options.env_key}")


def _missing(options: Options) -> MissingCredentialError:
    message = f"environment variable {options.env_key} is not set"
    if options.env_key_instructions:
        message = f"{message}: {options.env_key_instructions}"
    return MissingCredentialError(message, hint=f"export {options.env_key}=…")


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `env_key`."""
    return [EnvKey()]
