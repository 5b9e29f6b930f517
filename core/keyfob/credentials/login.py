"""One provider's login: what its plugin knows of it, where it is kept, and whether it may be used."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from keyfob.credentials.absorbing import absorbed
from keyfob.credentials.credential import check_secret
from keyfob.credentials.event import unheard
from keyfob.credentials.record import record_in, replaced_by
from keyfob.credentials.records import Rotation, SignsIn
from keyfob.credentials.renewal import Renewal
from keyfob.credentials.unattended import made
from keyfob.errors import (
    CredentialError,
    MissingCredentialError,
    NotSignedInError,
    OtherOriginError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.event import Announce
    from keyfob.credentials.exchange import Send
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.records import Records
    from keyfob.credentials.store import Store
    from keyfob.errors import Fault

_ORIGIN = "origin"


class Login:
    """The login of one provider.

    judge: raises PolicyError for a record that a rule forbids. origin: what the record is bound to, as `scheme://host`;
    None for the record that Codex shares, which holds no such thing. clock: seconds since the epoch. warn: told of a
    clock that is wrong. permit: raises PolicyError where a rule permits no such login to be made. announce: told what
    became of it.
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
        warn: Callable[[Fault], None] = lambda _: None,
        permit: Callable[[], None] = lambda: None,
        announce: Announce = unheard,
    ) -> None:
        self.provider = provider
        self.records = records
        self.store = store
        self.judge = judge
        self.permit = permit
        self.clock = clock
        self.send = send
        self.warn = warn
        self.announce = announce
        self._origin = origin
        self.shared = origin is None
        self.rotation = records if isinstance(records, Rotation) else None
        self.renewal = (
            Renewal(
                provider,
                store,
                self.rotation,
                send,
                clock,
                shared=self.shared,
                command=self.command,
                announce=announce,
            )
            if self.rotation
            else None
        )

    @property
    def whom(self) -> str:
        """The provider, with the one origin that gets the login, where it is bound to one."""
        return self.provider if self._origin is None else f"{self.provider} ({self._origin})"

    @property
    def command(self) -> str:
        """The command that signs in; it says how, where there is one way and it needs to be named."""
        methods = () if isinstance(self.records, SignsIn) else self.records.methods
        return f"keyfob login {self.provider}" + (f" --with-{methods[0]}" if len(methods) == 1 else "")

    @property
    def _anew(self) -> str:
        """What makes a new login where one is damaged; of the one that Codex shares, Codex too."""
        command = self.command
        return f"codex login, or {command}" if self.shared else command

    # Reading

    def stored(self) -> Record | None:
        """The stored login, not judged yet; None where there is none.

        Raises StoreError, DamagedLoginError, OtherOriginError, IllegalHeaderError.
        """
        with replaced_by(self._anew):
            data = self.store.read()
            return None if data is None else self.read(data)

    def read(self, data: Data, place: str | None = None) -> Record:
        """The record that `data` is. place: where it is from, for messages; by default the store's.

        Raises DamagedLoginError, UnsupportedLoginError, OtherOriginError, IllegalHeaderError.
        """
        place = place or self.store.place
        self._check_origin(data, place)
        record = record_in(place, data, self.records)
        check_secret(record.token, f"{place}: its secret", hint=self.command)
        return record

    def _check_origin(self, data: Data, place: str) -> None:
        if self._origin is not None and data.get(_ORIGIN) != self._origin:
            message = f"{self.provider}: {place} was stored for {_origin_of(data)}"
            raise OtherOriginError(f"{message}, not for {self._origin}", hint=self.command)

    def known(self) -> Record | None:
        """The login that would be used, told without asking anybody; None where there is none."""
        given = self.records.environment_secret()
        return self.stored() if given is None else self.records.of_environment(given)

    @property
    def flows(self) -> tuple[str, ...]:
        """How one can sign in to it, the usual way first; none where a key or a token is all that it takes."""
        return self.records.flows if isinstance(self.records, SignsIn) else ()

    @property
    def unattended(self) -> str | None:
        """The way to sign in that takes nobody; None where it takes a person."""
        return self.records.unattended if isinstance(self.records, SignsIn) else None

    def load(self) -> Record:
        """The stored login, judged; where there is none, one that is made without anybody, if it can be. May block.

        Raises what `missing` returns, SignInError, PolicyError, StoreError, DamagedLoginError.
        """
        record = self.useful()
        return self.complete(made(self) if record is None else record)

    def useful(self) -> Record | None:
        """The stored login. One that is of no use here does not count where a new one can be made without anybody."""
        try:
            return self.stored()
        except OtherOriginError:
            if self.unattended is None:
                raise
            return None

    def missing(self) -> CredentialError:
        """What there is to say where neither the environment nor the store has a login."""
        said, way = self.records.missing, self.otherwise
        stores = self.store.kind != "ephemeral"
        if said is None:
            return NotSignedInError(f"{self.provider}: not signed in", hint=self.command if stores else way)
        return MissingCredentialError(said, hint=f"{way}, or {self.command}" if stores else way)

    def ended(self) -> NotSignedInError:
        """What there is to say of a stored login that has expired, where nothing is at hand that renews it."""
        message, why = f"{self.provider}: the login has expired and cannot be renewed", self.records.missing
        return NotSignedInError(f"{message}: {why}" if why else message, hint=self.missing().hint)

    @property
    def otherwise(self) -> str:
        """What to do where nothing is stored: set the variable, or where none would do, have something stored."""
        variable = self.records.variable
        return f"export {variable}=…" if variable else 'cli_auth_credentials_store = "file"'

    def of_environment(self, secret: str) -> Record:
        """The login that the environment gives, judged. Raises PolicyError, CredentialError."""
        return self.complete(self.records.of_environment(secret))

    def complete(self, record: Record) -> Record:
        """The record with what only its issuer knows, judged: before it is asked about, and after. May block."""
        self.judge(record)
        completed = self.records.complete(record)
        if completed.workspaces is None:  # nobody knows
            completed = replace(completed, workspaces=())
        if completed is not record:
            self.judge(completed)
        return completed

    # What is stored, and what is to be

    def bound(self, data: Data) -> Data:
        """A new login, as it is stored: with the origin that it is for."""
        return data if self._origin is None else {_ORIGIN: self._origin, **data}

    def latest(self, store: Store) -> Data | None:
        """What is stored, with an issuer's answer that was not made part of it yet: that is the login which lives."""
        data, stage = store.read(), store.stage()
        if self.rotation is None or (data is None and stage is None):
            return data
        # What was issued for another origin is none of this issuer's business.
        if data is not None:
            self._check_origin(data, store.place)
        elif not self.shared:
            raise OtherOriginError(f"{self.provider}: {store.place} is gone, and what had renewed it names no origin")
        if stage is None or data is None:
            return data if stage is None else stage.document()
        record = self.records.read(data)
        newer = absorbed(self.rotation, record, stage) if stage.parent == record.fingerprint else None
        return data if newer is None else newer


def _origin_of(data: Data) -> str:
    """The origin that it names; anything else that stands there could be a secret, and is not shown."""
    origin = data.get(_ORIGIN)
    named = isinstance(origin, str) and re.fullmatch(r"https?://[\w.:\[\]-]+", origin)
    return str(origin) if named else "an origin that it does not name"
