"""`env_key`: an API key in an environment variable, or else a stored one, sent as a bearer token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from keyfob.plugin import (
    About,
    AuthPlugin,
    Context,
    Credential,
    DamagedLoginError,
    ProviderInfo,
    Record,
    StoredAuth,
    check_secret,
    hookimpl,
    masked,
)

# The one field of a stored key.
_KEY = "api_key"


class Options(BaseModel):
    """The keys of the entry that this plugin reads."""

    env_key: str
    env_key_instructions: str | None = None


class Keys:
    """The key of one provider: the variable's, read whenever a credential is asked for, else the stored one."""

    methods = ("api-key",)

    def __init__(self, options: Options, context: Context) -> None:
        self.variable = options.env_key
        self._environ = context.environ
        self._instructions = options.env_key_instructions

    def environment_secret(self) -> str | None:
        """The variable's value, without the blanks around it; blank is unset."""
        return self._environ.get(self.variable, "").strip() or None

    @property
    def missing(self) -> str:
        """Names the variable, and says what the entry says of it."""
        said = f"environment variable {self.variable} is not set"
        return f"{said}: {self._instructions}" if self._instructions else said

    def of_environment(self, secret: str) -> Record:
        """The variable's key. Raises IllegalHeaderError that names the variable."""
        hint = f"set {self.variable} anew; a copied key is one line of ASCII"
        check_secret(secret, f"the value of {self.variable}", hint=hint)
        return Record({}, secret)

    def read(self, data: Mapping[str, Any]) -> Record:
        """The stored key. Raises DamagedLoginError."""
        key = data.get(_KEY)
        if not isinstance(key, str) or not key:
            raise DamagedLoginError(f"the stored key cannot be used: {_KEY} is {'no text' if key else 'missing'}")
        return Record(data, key)

    def complete(self, record: Record) -> Record:
        """There is nothing that its issuer could add."""
        return record

    def credential(self, record: Record) -> Credential:
        """`Authorization: Bearer` and the key."""
        return Credential.bearer(record.token)

    def data_for(self, method: str, secret: str) -> Mapping[str, Any]:
        """What is stored for an API key: there is no other method."""
        return {_KEY: secret}

    def about(self, record: Record) -> About:
        """A key says nothing of whose it is."""
        return About("API key", masked(record.token), controls="those of whoever issued the key")


class EnvKey(StoredAuth[Options]):
    """The variable wins when it is set, else the key that `keyfob login PROVIDER --with-api-key` has stored."""

    key = "envkey"

    def records(self, provider: ProviderInfo, options: Options, context: Context) -> Keys:
        """The keys of one provider."""
        return Keys(options, context)


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `env_key`."""
    return [EnvKey()]
