"""Isolation: what a plugin breaks stays its own fault, named as such, whatever it raises."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from inspect import getattr_static
from typing import TYPE_CHECKING, cast

from keyfob.credentials.credential import Credential, NotHeadersError, SecretHeaders
from keyfob.credentials.records import Records, Rotation, SignsIn, is_required
from keyfob.credentials.source import Signer
from keyfob.errors import KeyfobError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyfob.credentials.signature import Unsigned
    from keyfob.credentials.source import CredentialSource


# The modules that stand between core and a plugin's own when its code is run.
_BETWEEN = frozenset({"keyfob", "pydantic", "pluggy"}) | sys.stdlib_module_names


@contextmanager
def isolated(owner: str, doing: str, *, told: bool = False) -> Iterator[None]:
    """Turn what a plugin raises into a PluginError that says whose fault it is, and keeps the cause.

    told: the exception's text is repeated; else it is not, for it may hold a secret, but where it came from; and the
    errors that a plugin may raise by its contract are let through.
    """
    try:
        yield
    except KeyboardInterrupt:  # the user's, who has waited long enough
        raise
    except BaseException as error:
        if isinstance(error, PluginError) or (isinstance(error, KeyfobError) and not told):
            raise
        cause = f"{type(error).__name__}: {error}" if told else untold(error)
        raise PluginError(f"{owner}: {doing}: {cause}", hint="keyfob plugins --check") from error


def untold(error: BaseException) -> str:
    """What it is and where it came from, without its text; one that is raised by core tells all."""
    return str(error) if isinstance(error, NotHeadersError) else f"{type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    """` at FILE:LINE`, in the module of the plugin: the first that is run and is none of what it is called through.

    What it has called in turn would say less to its author. "" where it was not run at all.
    """
    steps = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _BETWEEN
    ]
    lines = [line for file, line in steps if file == steps[0][0]]
    return f" at {steps[0][0]}:{lines[-1]}" if steps else ""


def whole_records(records: object, owner: str) -> Records:
    """What a plugin gave as its logins, if it has all that the contract says. Raises PluginError that names the rest.

    With `exchange` it is a Rotation, and with `sign_in` it SignsIn: one that lacks another part would pass for a login
    that cannot be renewed, or made.
    """
    _check_is(Rotation if _has(records, "exchange") else Records, records, owner)
    if _has(records, "sign_in"):
        _check_is(SignsIn, records, owner)
    return cast("Records", records)


def _check_is(kind: type, records: object, owner: str) -> None:
    members = {name for base in kind.__mro__ for name in vars(base) if not name.startswith("_")}
    lacking = sorted(name for name in members if not _has(records, name))
    if lacking:
        raise PluginError(f"{owner}: {type(records).__name__} lacks {', '.join(lacking)}, so it is no {kind.__name__}")


def _has(subject: object, name: str) -> bool:
    """Whether it has that member, of its own where it is required; a property is not asked for its value."""
    member = getattr_static(subject, name, _has)
    return member is not _has and not is_required(member)


class IsolatedSource:
    """The source of a plugin that is not ours."""

    def __init__(self, source: CredentialSource, owner: str) -> None:
        self._source = source
        self._owner = owner

    def peek(self) -> Credential | None:
        """The credential at hand; None also where the plugin breaks, for then `get` says so."""
        try:
            credential = self._source.peek()
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # any plugin may raise anything
            return None
        return credential if isinstance(credential, Credential) else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """A credential. Raises CredentialError, PluginError."""
        with isolated(self._owner, "no credential"):
            credential = self._source.get(rejected=rejected)
        if not isinstance(credential, Credential):
            raise PluginError(f"{self._owner}: its source returned a {type(credential).__name__}, not a Credential")
        return credential


class IsolatedSigner(IsolatedSource):
    """The same for a source whose headers depend on the request."""

    def __init__(self, source: Signer, owner: str) -> None:
        super().__init__(source, owner)
        self._signer = source

    def sign(self, request: Unsigned, credential: Credential) -> Mapping[str, str]:
        """The headers for one request. Raises CredentialError, PluginError."""
        with isolated(self._owner, "no signature"):
            return SecretHeaders(self._signer.sign(request, credential))


def isolated_source(source: CredentialSource, owner: str) -> CredentialSource:
    """A plugin's source, wrapped."""
    return IsolatedSigner(source, owner) if isinstance(source, Signer) else IsolatedSource(source, owner)
