"""Authentication for model providers.

    import keyfob
    with keyfob.httpx2.Client("corp") as client:      # or keyfob.httpx; also AsyncClient
        client.get("models")
    keyfob.provider("corp").headers()                 # for anything else

On the warm path: importing keyfob loads nothing else; each name is imported when it is first used.
"""

__version__ = "0.3.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keyfob import httpx as httpx
    from keyfob import httpx2 as httpx2
    from keyfob.api import provider as provider
    from keyfob.credentials.credential import Credential as Credential
    from keyfob.credentials.credential import SecretHeaders as SecretHeaders
    from keyfob.errors import ConfigError as ConfigError
    from keyfob.errors import CredentialError as CredentialError
    from keyfob.errors import KeyfobError as KeyfobError
    from keyfob.errors import OriginError as OriginError
    from keyfob.host import ConfigWarning as ConfigWarning
    from keyfob.host import Host as Host
    from keyfob.providers import Provider as Provider

_MODULES = {
    "ConfigError": "keyfob.errors",
    "ConfigWarning": "keyfob.host",
    "Credential": "keyfob.credentials.credential",
    "CredentialError": "keyfob.errors",
    "Host": "keyfob.host",
    "KeyfobError": "keyfob.errors",
    "OriginError": "keyfob.errors",
    "Provider": "keyfob.providers",
    "SecretHeaders": "keyfob.credentials.credential",
    "httpx": "keyfob.httpx",
    "httpx2": "keyfob.httpx2",
    "provider": "keyfob.api",
}

__all__ = [
    "ConfigError",
    "ConfigWarning",
    "Credential",
    "CredentialError",
    "Host",
    "KeyfobError",
    "OriginError",
    "Provider",
    "SecretHeaders",
    "httpx",
    "provider",
]


if not TYPE_CHECKING:  # hidden from type checkers: to them a misspelt name stays an error

    def __getattr__(name: str) -> object:
        """Import an exported name when it is first used (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module 'keyfob' has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_MODULES[name])
        value = module if module.__name__ == f"keyfob.{name}" else getattr(module, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Every exported name, whether it has been imported or not."""
        return sorted({*globals(), *_MODULES})
