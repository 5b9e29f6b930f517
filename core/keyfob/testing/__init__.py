"""For tests: a model server on loopback. Stdlib only; importing it loads nothing else of keyfob."""

from keyfob.testing.model_server import Answer, ModelServer, Received

__all__ = ["Answer", "ModelServer", "Received"]
