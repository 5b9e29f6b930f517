"""All that the author of a plugin needs.

The simplest plugin is this, and an entry point in group `keyfob.auth` whose name is its key:

    class Options(BaseModel):
        key_env: str

    class Portkey(StaticAuth[Options]):
        key = "portkey"

        def headers(self, options, context):
            return {"x-portkey-api-key": context.environ[options.key_env]}

    @hookimpl
    def keyfob_auth_plugins():
        return [Portkey()]
"""

from keyfob.credentials.asking import asking
from keyfob.credentials.credential import Credential
from keyfob.credentials.headers import illegal_part
from keyfob.credentials.minting import MintingSource
from keyfob.credentials.source import CredentialSource, Signer, StaticSource
from keyfob.errors import (
    CommandError,
    CredentialError,
    IllegalHeaderError,
    KeyfobError,
    MissingCredentialError,
    NotSignedInError,
)
from keyfob.plugin.bases import MintingAuth, StaticAuth
from keyfob.plugin.contract import (
    AuthPlugin,
    Context,
    NoOptions,
    ProviderInfo,
    State,
    SuppliesBaseUrl,
    SupportsState,
)
from keyfob.plugin.hooks import hookimpl

__all__ = [
    "AuthPlugin",
    "CommandError",
    "Context",
    "Credential",
    "CredentialError",
    "CredentialSource",
    "IllegalHeaderError",
    "KeyfobError",
    "MintingAuth",
    "MintingSource",
    "MissingCredentialError",
    "NoOptions",
    "NotSignedInError",
    "ProviderInfo",
    "Signer",
    "State",
    "StaticAuth",
    "StaticSource",
    "SuppliesBaseUrl",
    "SupportsState",
    "asking",
    "hookimpl",
    "illegal_part",
]
