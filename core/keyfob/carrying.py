"""Carrying a login to another machine: what goes there, what may be stored there, and when it is gone here."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from keyfob.credentials.ending import remove_carried
from keyfob.credentials.exchange import told
from keyfob.credentials.record import SignsIn
from keyfob.credentials.saving import save
from keyfob.errors import (
    CarriedLoginError,
    DamagedLoginError,
    IllegalHeaderError,
    NotSignedInError,
    OtherOriginError,
    RenewalError,
    UnsupportedLoginError,
    UsageError,
)
from keyfob.stores.file import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyfob.credentials.ending import SignedOut
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.saving import Saved
    from keyfob.credentials.store import Store
    from keyfob.providers import Provider

# Bytes. No login is as large.
LARGEST = 64 * 1024
# Levels of JSON. No login has as many.
_DEEPEST = 32
_FORMAT = "keyfob_login"
_VERSION = 1
_FIELDS = {_FORMAT: int, "provider": str, "plugin": str, "nonce": str, "login": dict}
# By one of these one knows an auth.json.
_CODEXS = {"auth_mode", "tokens", "OPENAI_API_KEY", "personal_access_token"}
_WAY = "on the machine that is signed in: keyfob login export PROVIDER | ssh HOST keyfob login import"
_RECEIVED, _EXPORTED = "what was received", "the exported login"


@dataclass(frozen=True, slots=True)
class Carried:
    """A login on its way to another machine.

    provider: its id where it is from. plugin: the key of the one whose login it is. login: as it is stored, with the
    origin that it is bound to. nonce: makes the receipt one of this export, which nobody can know beforehand.
    """

    provider: str
    plugin: str
    login: Data = field(repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def text(self) -> str:
        """One line of JSON: the document that is carried."""
        fields = {_FORMAT: _VERSION, "provider": self.provider, "plugin": self.plugin, "nonce": self.nonce}
        return json.dumps({**fields, "login": self.login}, separators=(",", ":"))

    @property
    def receipt(self) -> str:
        """The line by which whoever has stored it confirms that. It is of the whole document, so that nothing has
        changed on the way, and gives nothing away, for the nonce is a part of that."""
        return f"keyfob-stored {sha256(self.text.encode()).hexdigest()}"

    @classmethod
    def parsed(cls, data: bytes) -> Carried:
        """What was received, whatever it is. Raises CarriedLoginError, which repeats nothing of it."""
        fields = _object(data)
        if _FORMAT not in fields:
            raise _none_of_ours(fields)
        if type(fields[_FORMAT]) is not int or fields[_FORMAT] != _VERSION:
            message = f"{_RECEIVED} is in another format than this version of keyfob reads, which is {_VERSION}"
            raise CarriedLoginError(message, hint="install the same version of keyfob on both machines")
        if fields.keys() != _FIELDS.keys() or any(type(fields[name]) is not kind for name, kind in _FIELDS.items()):
            raise _refused("does not have the fields of an exported login")
        return cls(fields["provider"], fields["plugin"], fields["login"], fields["nonce"])

    @property
    def named(self) -> str:
        """The provider for messages; what could be anything is not shown."""
        return f"provider {self.provider}" if re.fullmatch(r"[\w.-]{1,64}", self.provider) else "a provider"


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object that these bytes are. Raises CarriedLoginError."""
    if not data.strip():
        raise CarriedLoginError("nothing was received", hint=_WAY)
    if len(data) > LARGEST:
        raise _refused(f"is larger than {LARGEST >> 10} KiB")
    try:
        found = parsed(data.decode("utf-8-sig"), pairs=_each_once)  # some shells begin with a mark
    except UnicodeDecodeError:
        raise _refused("is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise _refused("is not JSON that can be read; it may have been cut off") from None
    if not isinstance(found, dict):
        raise _refused("is not a JSON object")
    if _too_deep(found, _DEEPEST):
        raise _refused("is nested too deeply")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is there twice, programs take the one or the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _too_deep(value: object, left: int) -> bool:
    """Whether it is nested deeper than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_too_deep(each, left - 1) for each in inner)


def _none_of_ours(fields: dict[str, Any]) -> CarriedLoginError:
    if not fields.keys() & _CODEXS:
        return _refused("is no exported login")
    message = f"{_RECEIVED} is an auth.json: a copy of one puts a login on two machines, and each ends the other's"
    return CarriedLoginError(message, hint=_WAY)


def _refused(what: str) -> CarriedLoginError:
    return CarriedLoginError(f"{_RECEIVED} {what}; nothing was stored", hint=_WAY)


# Where it is from


def without_renewal(provider: Provider, login: Login) -> tuple[Record, Carried]:
    """The login as a request would use it, and what to carry of it: all but what renews it.

    A key that is never spent is carried whole. May block. Raises UsageError for a login of which nothing can be left
    out, and what `Login.load` raises.
    """
    if login.records.given() is None:
        provider.source.get()  # renewed, where that is due
    record, records = login.load(), login.records
    left = login.read(records.without_renewal(record.data)) if isinstance(records, SignsIn) else record
    if left.secret is not None and not left.reusable:
        message = f"{login.provider}: this login cannot be carried without what renews it"
        raise UsageError(message, hint=f"keyfob login export {login.provider} --move -- ssh HOST keyfob login import")
    if _has_expired(left, login):
        message = f"{login.provider}: the login has expired, and would be of no use elsewhere"
        raise NotSignedInError(message, hint=login.command)
    return record, _carried(provider, left.data)


def move(
    provider: Provider, login: Login, places: Iterable[Store], hand_over: Callable[[Record, Carried], None]
) -> SignedOut:
    """Carry the whole login away, and remove it from each place here; it is not revoked.

    hand_over: gives it away, and returns once it is known to be stored elsewhere; whatever it raises, nothing is
    removed. Nobody renews the login meanwhile, for its lock is held. Raises RenewalError for one whose renewal is not
    finished, and what `Login.load` raises.
    """
    with login.store.lock():
        record = _settled(login)
        hand_over(record, _carried(provider, record.data))
        return remove_carried(login, record, places)


def _settled(login: Login) -> Record:
    """What is stored, judged; where it may be spent, its successor may lie beside it. With the lock held."""
    record = login.stored()
    if record is None:
        raise login.missing()
    intent, stage = login.store.journal().intent, login.store.stage()
    left = [intent.fingerprint if intent else None, stage.parent if stage else None]
    if record.fingerprint in left:
        message = f"{login.provider}: a renewal of this login is not finished"
        raise RenewalError(message, hint=f"keyfob check {login.provider} finishes it")
    return login.completed(record)


def _carried(provider: Provider, login: Data) -> Carried:
    carried = Carried(provider.id, provider.route.plugin, login)
    if len(carried.text) > LARGEST:
        raise UsageError(f"{provider.id}: the login is larger than {LARGEST >> 10} KiB, and cannot be carried")
    return carried


# Where it is to go


def take(provider: Provider, login: Login, carried: Carried, places: Iterable[Store], *, replace: bool) -> Saved:
    """Store a login that came from another machine, if it is one for this provider.

    places: where a login of this provider may be; unless `replace`, none of them may hold one. Raises
    CarriedLoginError, OccupiedError, PolicyError, StoreError, DamagedLoginError for what is there, and SignInError
    where its issuer has to be asked and is not there.
    """
    if provider.route.plugin != carried.plugin:
        message = f"{provider.id} goes to plugin `{provider.route.plugin}` here, and went to another one there"
        raise CarriedLoginError(message, hint=f"keyfob explain {provider.id}, on both machines")
    with _told_of_what_was_carried(login):
        record = login.read(carried.login, _EXPORTED)
        if _has_expired(record, login):
            raise CarriedLoginError(f"{provider.id}: the login that was received has expired", hint="export it again")
        data = login.records.received(record.data) if isinstance(login.records, SignsIn) else record.data
    return save(login, data, replace_damaged=replace, empty=() if replace else places)


@contextlib.contextmanager
def _told_of_what_was_carried(login: Login) -> Iterator[None]:
    """Say of each way in which a login can be wrong that this one was received, not stored."""
    try:
        with told(login.provider, "export it again"):
            yield
    except OtherOriginError as error:
        hint = f"keyfob explain {login.provider}, on both machines: they have to say the same"
        raise CarriedLoginError(str(error), hint=hint) from None
    except (DamagedLoginError, UnsupportedLoginError, IllegalHeaderError) as error:
        raise CarriedLoginError(str(error), hint=_WAY) from None


def _has_expired(record: Record, login: Login) -> bool:
    """Whether it is of no use: over, and nothing there that renews it."""
    return record.secret is None and record.expires_at is not None and record.expires_at <= login.clock()
