"""What proves that the code of a sign-in comes back to whoever asked for it: PKCE and state."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

# Bytes of randomness. RFC 7636, section 4.1 asks for a verifier of 43 to 128 letters: these make 86, as Codex's.
_VERIFIER = 64
_STATE = 32


@dataclass(frozen=True, slots=True)
class ProofKey:
    """One sign-in's own secrets (RFC 7636; RFC 6749, section 10.12). `challenge` is the verifier's SHA-256."""

    verifier: str = field(repr=False)
    challenge: str = field(repr=False)
    state: str = field(repr=False)

    @classmethod
    def new(cls) -> ProofKey:
        """Made of fresh randomness."""
        verifier = secrets.token_urlsafe(_VERIFIER)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        return cls(verifier, challenge, secrets.token_urlsafe(_STATE))
