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
from keyfob.credentials.credential import Credential, check_secret
from keyfob.credentials.event import Event
from keyfob.credentials.exchange import Answer, Exchange, UnansweredError, UnreachableError
from keyfob.credentials.headers import illegal_part
from keyfob.credentials.minting import MintingSource
from keyfob.credentials.record import About, Data, Record, masked
from keyfob.credentials.records import Records, Rotation, SignsIn
from keyfob.credentials.signature import SigningKey, Unsigned
from keyfob.credentials.signer import SigningSource
from keyfob.credentials.source import CredentialSource, Signer, StaticSource
from keyfob.credentials.variables import UnsetError
from keyfob.errors import (
    CommandError,
    ConfigError,
    CredentialError,
    DamagedLoginError,
    DeniedError,
    DisabledFlowError,
    IllegalHeaderError,
    KeyfobError,
    MissingCredentialError,
    NotSignedInError,
    OtherOriginError,
    PolicyError,
    PortError,
    SignInError,
    UnsupportedLoginError,
)
from keyfob.plugin.addresses import fault_of
from keyfob.plugin.bases import MintingAuth, SigningAuth, StaticAuth, StoredAuth
from keyfob.plugin.contract import (
    AuthPlugin,
    Context,
    NoOptions,
    Opens,
    ProviderInfo,
    State,
    SuppliesBaseUrl,
    SupportsLogin,
    SupportsState,
)
from keyfob.plugin.hooks import hookimpl
from keyfob.plugin.interaction import Interaction

__all__ = [
    "About",
    "Answer",
    "AuthPlugin",
    "CommandError",
    "ConfigError",
    "Context",
    "Credential",
    "CredentialError",
    "CredentialSource",
    "DamagedLoginError",
    "Data",
    "DeniedError",
    "DisabledFlowError",
    "Event",
    "Exchange",
    "IllegalHeaderError",
    "Interaction",
    "KeyfobError",
    "MintingAuth",
    "MintingSource",
    "MissingCredentialError",
    "NoOptions",
    "NotSignedInError",
    "Opens",
    "OtherOriginError",
    "PolicyError",
    "PortError",
    "ProviderInfo",
    "Record",
    "Records",
    "Rotation",
    "SignInError",
    "Signer",
    "SigningAuth",
    "SigningKey",
    "SigningSource",
    "SignsIn",
    "State",
    "StaticAuth",
    "StaticSource",
    "StoredAuth",
    "SuppliesBaseUrl",
    "SupportsLogin",
    "SupportsState",
    "UnansweredError",
    "UnreachableError",
    "UnsetError",
    "Unsigned",
    "UnsupportedLoginError",
    "asking",
    "check_secret",
    "fault_of",
    "hookimpl",
    "illegal_part",
    "masked",
]
