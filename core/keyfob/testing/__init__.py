"""For tests: a model server and an issuer on loopback. Stdlib only; importing it loads nothing else of keyfob."""

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import Answer, ModelServer, Received

__all__ = ["Answer", "Issuer", "ModelServer", "Received"]
