"""One provider's login: what its plugin knows of it, where it is kept, and whether it may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.record import Rotation
from keyfob.credentials.renewal import Renewal
from keyfob.errors import CredentialError, NotSignedInError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.exchange import Send
    from keyfob.credentials.record import Data, Record, Records
    from keyfob.credentials.store import Store

_ORIGIN = "origin"


class Login:
    """The login of one provider.

    judge: raises PolicyError for a record that a rule forbids. origin: what the record is bound to, as `scheme://host`;
    None for the record that Codex shares, which holds no such thing. clock: seconds since the epoch.
    """

    def __init__(
        self,
        provider: str,
        records: Records,
        store: Store,
        *,
        send: Send,
        judge: Callable[[Record], None],
        clock: Callable[[], float],
        origin: str | None,
    ) -> None:
        self.provider = provider
        self.records = records
        self.store = store
        self.judge = judge
        self.clock = clock
        self.send = send
        self._origin = origin
        self.shared = origin is None
        self.renewal = (
            Renewal(provider, store, records, send, clock, shared=self.shared)
            if isinstance(records, Rotation)
            else None
        )

    def stored(self) -> Record | None:
        """The stored login, not judged yet; None where there is none. Raises StoreError, DamagedLoginError."""
        data = self.store.read()
        return None if data is None else self.read(data)

    def read(self, data: Data) -> Record:
        """The record that `data` is. Raises DamagedLoginError, CredentialError if it was stored for another origin."""
        if self._origin is not None and data.get(_ORIGIN) != self._origin:
            message = f"{self.provider}: what is stored in {self.store.place} was stored for {data.get(_ORIGIN)}"
            raise CredentialError(f"{message}, not for {self._origin}", hint=f"keyfob login {self.provider}")
        return self.records.read(data)

    def known(self) -> Record | None:
        """The login that would be used, told without asking anybody; None where there is none."""
        given = self.records.given()
        return self.stored() if given is None else self.records.of_environment(given)

    def load(self) -> Record:
        """The stored login, judged. Raises NotSignedInError, PolicyError, StoreError, DamagedLoginError."""
        record = self.stored()
        if record is None:
            raise NotSignedInError(f"{self.provider}: not signed in", hint=f"keyfob login {self.provider}")
        return self.completed(record)

    def of_environment(self, secret: str) -> Record:
        """The login that the environment gives, judged. Raises PolicyError, CredentialError."""
        return self.completed(self.records.of_environment(secret))

    def completed(self, record: Record) -> Record:
        """The record with what only its issuer knows, judged: before it is asked about, and after. May block."""
        self.judge(record)
        completed = self.records.completed(record)
        if completed is not record:
            self.judge(completed)
        return completed

    def save(self, data: Data) -> Record:
        """Put a new login in the place of whatever is there; `data` is judged first."""
        record = self.completed(self.records.read(data))
        bound = data if self._origin is None else {_ORIGIN: self._origin, **data}
        with self.store.lock(), self.store.writing():
            self.store.clear()
            self.store.write(bound)
        return record
