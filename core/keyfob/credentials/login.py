"""One provider's login: what its plugin knows of it, where it is kept, and whether it may be used."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.credentials.headers import illegal_part
from keyfob.credentials.record import Rotation, SignsIn, record_in, replaced_by
from keyfob.credentials.renewal import Renewal
from keyfob.errors import (
    CredentialError,
    DamagedLoginError,
    IllegalHeaderError,
    MissingCredentialError,
    NotSignedInError,
    OccupiedError,
    OtherOriginError,
    SignInError,
    UnsupportedLoginError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyfob.credentials.exchange import Send
    from keyfob.credentials.record import Data, Record, Records
    from keyfob.credentials.store import Store
    from keyfob.errors import Fault

_ORIGIN = "origin"
# Seconds from one sign-in without anybody that failed to the next.
_AGAIN_AFTER = 10.0
# Characters that a new login has at the least, ChatGPT's and any other: not every keyring takes as many.
_LEAST_SHARED, _LEAST = 3_000, 300


@dataclass(frozen=True, slots=True)
class Saved:
    """A login that was stored, and what was stored in its place before; None where nothing was, or nothing readable."""

    record: Record
    replaced: Data | None = field(default=None, repr=False)


class Login:
    """The login of one provider.

    judge: raises PolicyError for a record that a rule forbids. origin: what the record is bound to, as `scheme://host`;
    None for the record that Codex shares, which holds no such thing. clock: seconds since the epoch. warn: told of a
    clock that is wrong.
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
    ) -> None:
        self.provider = provider
        self.records = records
        self.store = store
        self.judge = judge
        self.clock = clock
        self.send = send
        self.warn = warn
        self._origin = origin
        self._in_vain: tuple[float, SignInError | None] = (0.0, None)
        self.shared = origin is None
        self.rotation = records if isinstance(records, Rotation) else None
        self.renewal = (
            Renewal(provider, store, self.rotation, send, clock, shared=self.shared, command=self.command)
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
        self._see_that_it_is_ours(data, place)
        record = record_in(place, data, self.records)
        illegal = illegal_part(record.token)
        if illegal:
            message = f"{place}: what is stored there cannot stand in an HTTP header: it has {illegal}"
            raise IllegalHeaderError(message, hint=self.command)
        return record

    def _see_that_it_is_ours(self, data: Data, place: str) -> None:
        if self._origin is not None and data.get(_ORIGIN) != self._origin:
            message = f"{self.provider}: what is stored in {place} was stored for {_origin_of(data)}"
            raise OtherOriginError(f"{message}, not for {self._origin}", hint=self.command)

    def known(self) -> Record | None:
        """The login that would be used, told without asking anybody; None where there is none."""
        given = self.records.given()
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
        record = self._useful()
        return self.completed(self._made() if record is None else record)

    def _useful(self) -> Record | None:
        """The stored login; one that is of no use here is none where a new one takes nobody."""
        try:
            return self.stored()
        except OtherOriginError:
            if self.unattended is None:
                raise
            return None

    def _made(self) -> Record:
        """Sign in without anybody, under the lock: once for all who would."""
        way = self.unattended
        if way is None or not isinstance(self.records, SignsIn):
            raise self.missing()
        self._heed_what_was_in_vain()
        with self.store.lock():
            record = self._useful()
            return self._signed_in(self.records, way) if record is None else record

    def _heed_what_was_in_vain(self) -> None:
        """A program that is refused must not ask its issuer with each request of its own."""
        until, error = self._in_vain
        if error is not None and 0 < until - self.clock() <= _AGAIN_AFTER:
            raise SignInError(str(error), hint=error.hint)

    def _signed_in(self, records: SignsIn, way: str) -> Record:
        """The same, once it is known that the place takes a login. With the lock held."""
        with self.store.writing():
            self.store.probe(self._least)
        try:
            with told(self.provider, self.command), records.sign_in(way) as data:
                record = self._sendable(data)
                with self.store.writing():
                    self.store.replace(self._bound(data))
        except SignInError as error:
            self._in_vain = (self.clock() + _AGAIN_AFTER, SignInError(str(error), hint=error.hint))
            raise
        return record

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
        return self.completed(self.records.of_environment(secret))

    def completed(self, record: Record) -> Record:
        """The record with what only its issuer knows, judged: before it is asked about, and after. May block."""
        self.judge(record)
        completed = self.records.completed(record)
        if completed.workspaces is None:  # nobody knows
            completed = replace(completed, workspaces=())
        if completed is not record:
            self.judge(completed)
        return completed

    # Signing in and out

    def save(self, data: Data, *, replace_damaged: bool = False, empty: Iterable[Store] = ()) -> Saved:
        """Put a new login in the place of whatever is there, which stays until this one is known to be good.

        replace_damaged: also of what cannot be read. empty: places that must hold none. Raises CredentialError,
        PolicyError, StoreError, OccupiedError, and DamagedLoginError for what is there.
        """
        record = self._sendable(data)
        with self.store.lock(), self.store.writing():
            for place in empty:
                _see_that_it_is_free(place)
            sound = self._sound(replace_damaged=replace_damaged)
            replaced = self.latest(self.store) if sound else None
            self.store.replace(self._bound(data))
        return Saved(record, replaced)

    def _sendable(self, data: Data) -> Record:
        """The record that a new login is, if it may be sent and can be."""
        record = self.completed(self.records.read(data))
        self.records.credential(record)
        return record

    def _bound(self, data: Data) -> Data:
        return data if self._origin is None else {_ORIGIN: self._origin, **data}

    def see_that_it_is_sound(self) -> None:
        """Raise DamagedLoginError, UnsupportedLoginError for what is stored and would be lost; StoreError."""
        self._sound(replace_damaged=False)

    def see_that_one_can_be_saved(self, *, replace_damaged: bool = False) -> None:
        """The same, and that the place takes a new login: before anybody is asked to make one. Leaves nothing there.

        replace_damaged: as for `save`.
        """
        with self.store.lock(), self.store.writing():
            self._sound(replace_damaged=replace_damaged)
            self.store.probe(self._least)

    @property
    def _least(self) -> int:
        return _LEAST_SHARED if self.shared else _LEAST

    def _sound(self, *, replace_damaged: bool) -> bool:
        """Whether there is a login that can be read."""
        try:
            return self.stored() is not None
        except (OtherOriginError, IllegalHeaderError):
            return False  # it was the user's own, and is of no use any more
        except (DamagedLoginError, UnsupportedLoginError):
            if replace_damaged:
                return False
            raise

    def latest(self, store: Store) -> Data | None:
        """What is stored, with an issuer's answer that was not made part of it yet: that is the login which lives."""
        data, stage = store.read(), store.stage()
        if self.rotation is None or (data is None and stage is None):
            return data
        # The issuer that is configured now is none of another's business.
        self._see_that_it_is_ours(data or {}, store.place)
        if stage is None or data is None:
            return data if stage is None else stage.document()
        record = self.records.read(data)
        try:
            return self.rotation.absorb(record, stage.document()) if stage.parent == record.fingerprint else data
        except ValueError:
            return data


@contextlib.contextmanager
def told(provider: str, command: str) -> Iterator[None]:
    """Say as SignInError that the issuer could not be asked while somebody signed in, and each with what to do.

    command: what to try again.
    """
    try:
        yield
    except SignInError as error:
        error.hint = error.hint or command
        raise
    except UnreachableError as error:
        raise SignInError(f"{provider}: {error}", hint="keyfob doctor") from error
    except UnansweredError as error:
        raise SignInError(f"{provider}: {error}", hint=command) from error


def _see_that_it_is_free(store: Store) -> None:
    if store.read() is not None:
        raise OccupiedError(f"{store.place} holds a login already")


def _origin_of(data: Data) -> str:
    """The origin that it names; what is none could be anything, and is not shown."""
    origin = data.get(_ORIGIN)
    named = isinstance(origin, str) and re.fullmatch(r"https?://[\w.:\[\]-]+", origin)
    return str(origin) if named else "an origin that it does not name"
