"""The source of a minting plugin: one that can ask for a new credential whenever it likes. Keeps the last one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keyfob.credentials import timing
from keyfob.credentials.forks import forget_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.credential import Credential

# A replacement that is refused too is not replaced again at once: a server that answers 401 to everything
# would have a new credential minted with each request.
REPLACEMENT_HOLD = 10.0


@dataclass(frozen=True, slots=True)
class _Held:
    """A credential with the times that matter, in seconds since the epoch."""

    credential: Credential
    fresh_until: float
    usable_until: float
    hold_until: float


class MintingSource:
    """Caches what `mint` returns; one thread mints, the others go on with the old credential or wait.

    mint: while the old credential is good, whatever it raises is held back and it is called again a few seconds later.
    max_age: seconds after which a credential without `expires_at` is fetched anew; None = only after a 401. clock: the
    wall clock, in seconds since the epoch.
    """

    def __init__(
        self, mint: Callable[[], Credential], *, clock: Callable[[], float], max_age: float | None = None
    ) -> None:
        self._mint = mint
        self._clock = clock
        self._max_age = max_age
        self._held: _Held | None = None
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: the lock may be held by a thread that the child does not have."""
        self._lock = threading.Lock()

    def peek(self) -> Credential | None:
        """The cached credential while it is fresh, or while it is usable and somebody is already minting."""
        held = self._held
        if held is None:
            return None
        now = self._clock()
        fresh = now < held.fresh_until or (now < held.usable_until and self._lock.locked())
        return held.credential if fresh else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The cached credential if it is fresh and not the rejected one, else a new one."""
        with self._lock:
            held = self._held
            if held and self._serves(held, rejected, self._clock()):
                return held.credential
            try:
                credential = self._mint()
            except Exception:
                now = self._clock()
                if held is None or rejected is held.credential or now >= held.usable_until:
                    raise
                self._held = replace(held, fresh_until=min(held.usable_until, now + timing.RETRY_AFTER))
                return held.credential
            self._held = self._hold(credential, replaces=rejected)
            return credential

    def _serves(self, held: _Held, rejected: Credential | None, now: float) -> bool:
        if rejected is None or held.credential is not rejected:
            return now < held.fresh_until
        return now < held.hold_until

    def _hold(self, credential: Credential, replaces: Credential | None) -> _Held:
        now = self._clock()
        hold_until = now + REPLACEMENT_HOLD if replaces else now
        if credential.expires_at is not None:
            fresh_until = credential.expires_at - timing.early(credential.expires_at - now)
            return _Held(credential, fresh_until, credential.expires_at, hold_until)
        until = now + self._max_age if self._max_age is not None else float("inf")
        return _Held(credential, until, until, hold_until)
