"""For tests: servers on loopback, fakes, a person who signs in, and the contract kit for plugins.

`ModelServer` and `Issuer` need the standard library alone, and importing them loads nothing else of keyfob. The
contract kit is `keyfob.testing.contract`, which needs pytest.
"""

from typing import TYPE_CHECKING

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import Answer, ModelServer, Received

if TYPE_CHECKING:
    from keyfob.testing.fakes import fake_provider, in_use
    from keyfob.testing.person import Person

__all__ = ["Answer", "Issuer", "ModelServer", "Person", "Received", "fake_provider", "in_use"]

_LATER = {
    "Person": "keyfob.testing.person",
    "fake_provider": "keyfob.testing.fakes",
    "in_use": "keyfob.testing.fakes",
}


if not TYPE_CHECKING:  # hidden from type checkers: to them a misspelt name stays an error

    def __getattr__(name: str) -> object:
        """Import what stands on the rest of keyfob when it is first used (PEP 562)."""
        if name not in _LATER:
            raise AttributeError(f"module 'keyfob.testing' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
