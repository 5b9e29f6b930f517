"""Replays: after a 401 a request is sent again with a newer credential, twice at the most.

This is all that there is to decide. Sending and waiting differ in each HTTP library, and are done there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob.clients.signing import Signing
    from keyfob.credentials.credential import Credential

UNAUTHORIZED = 401
MAX_REPLAYS = 2


class Replays:
    """Those of one request. credential: the one that it was sent with last."""

    __slots__ = ("_left", "_signing", "credential")

    def __init__(self, signing: Signing, credential: Credential) -> None:
        self.credential = credential
        self._signing = signing
        self._left = MAX_REPLAYS

    def another(self, status: int) -> bool:
        """Whether a newer credential may bring another answer. That there is no further replay is announced."""
        if status != UNAUTHORIZED:
            return False
        self._left -= 1
        if self._left < 0:
            self._signing.refused(self.credential)
        return self._left >= 0

    def take(self, newer: Credential, *, replayable: bool) -> bool:
        """Whether to send it with `newer`. If not, the 401 stays the answer: no body is there to be sent again, or no
        other credential is to be had, which is announced.
        """
        if newer is self.credential:
            self._signing.refused(newer)
            return False
        self.credential = newer
        return replayable
