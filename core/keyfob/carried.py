"""The document that carries a login to another machine: one line of JSON, believed in nothing where it comes."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from keyfob.errors import CarriedLoginError
from keyfob.strict_json import parsed

if TYPE_CHECKING:
    from keyfob.credentials.record import Data

# Bytes. No login is as large.
LARGEST = 64 * 1024
# Levels of JSON. No login has as many.
_DEEPEST = 32
_FORMAT = "keyfob_login"
_VERSION = 1
_FIELDS = {_FORMAT: int, "provider": str, "plugin": str, "nonce": str, "login": dict}
# By one of these one knows an auth.json.
_CODEXS = {"auth_mode", "tokens", "OPENAI_API_KEY", "personal_access_token"}
# How to make one.
WAY = "on the machine that is signed in: keyfob login export PROVIDER | ssh HOST keyfob login import"
_RECEIVED = "what was received"


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
        raise CarriedLoginError("nothing was received", hint=WAY)
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
    return CarriedLoginError(message, hint=WAY)


def _refused(what: str) -> CarriedLoginError:
    return CarriedLoginError(f"{_RECEIVED} {what}; nothing was stored", hint=WAY)
