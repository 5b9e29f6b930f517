"""An entry of the system's keyring: what it is called, who keeps it, and what can be wrong with it.

On Linux Codex keeps its login with the Secret Service, so that is spoken to directly (`secret_service`); every other
keyring is reached through a backend of the `keyring` library. Nothing here asks the user anything, but for `unlock`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keyfob.errors import DamagedLoginError, StoreError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

# What the Credential Manager of Windows takes (CRED_MAX_CREDENTIAL_BLOB_SIZE), in bytes of UTF-16.
WINDOWS_LIMIT = 2_560
_SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105  # a name
_FILE = 'cli_auth_credentials_store = "file"'


@dataclass(frozen=True, slots=True)
class Name:
    """What an entry is found by (service, username), and what a new one of the Secret Service is given beside."""

    service: str
    username: str
    label: str
    application: str

    def __str__(self) -> str:
        return f"keyring entry {self.username!r} of {self.service!r}"

    @property
    def attributes(self) -> dict[str, str]:
        """What a new item is given; Codex looks for an item with its `target` first."""
        return {**self.query, "target": "default", "application": self.application}

    @property
    def query(self) -> dict[str, str]:
        """What finds it, whoever made it and whatever else it was given."""
        return {"service": self.service, "username": self.username}


class Entry(Protocol):
    """One secret text in a keyring. Every method raises StoreError where the keyring cannot be used."""

    @property
    def name(self) -> Name:
        """What it is called."""
        ...

    def read(self) -> str | None:
        """The text, None where there is no such entry. Raises DamagedLoginError where there are two."""
        ...

    def write(self, text: str, *, every: bool = False) -> None:
        """Put the text in place of the one that is there, in the same entry, or make one. Raises as `read`.

        every: where there are several of this name, put it in one and remove the others.
        """
        ...

    def delete(self) -> bool:
        """Remove it, and every other of this name; whether there was one."""
        ...

    def drop_spare(self) -> None:
        """Remove the copy beside it that a killed writer left, unless it is all that is there.

        For whoever holds the lock: it counts while another writes.
        """
        ...

    def unlock(self) -> None:
        """Have the user asked to unlock the keyring, where it is locked. May block."""
        ...


class NoKeyringError(StoreError):
    """There is no keyring on this machine, or none in this session."""


class TooLargeError(StoreError):
    """The keyring does not take an entry of this size."""


def entry(name: Name) -> Entry:
    """The entry of this name, in the keyring that this machine has. Raises StoreError.

    On Linux the Secret Service is asked first, unless another keyring is named: the `keyring` library takes a slow bus
    for a missing one, and does not look again.
    """
    if sys.platform == "linux":
        from keyfob.stores.secret_service import SecretServiceEntry

        direct, named = SecretServiceEntry(name), _is_it_named()
        if named or (named is None and direct.is_there()):
            return direct
    backend = _backend()
    if _speaks_secret_service(backend):
        from keyfob.stores.secret_service import SecretServiceEntry

        return SecretServiceEntry(name)
    from keyfob.stores.backend import BackendEntry

    return BackendEntry(name, backend)


def _is_it_named() -> bool | None:
    """Whether the user, or this program, has named the Secret Service; None where no keyring is named at all."""
    chosen = getattr(sys.modules.get("keyring.core"), "_keyring_backend", None)  # `get_keyring` would look for one
    if chosen is not None and type(chosen).__module__ != "keyring.backends.fail":
        return _speaks_secret_service(chosen)
    named = os.environ.get("PYTHON_KEYRING_BACKEND")
    if named:
        return named == _SECRET_SERVICE
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return False if os.path.exists(os.path.join(folder, "python_keyring", "keyringrc.cfg")) else None


def _backend() -> KeyringBackend:
    """What the `keyring` library finds, or was told to use."""
    import keyring

    try:
        return keyring.get_keyring()
    except Exception as error:  # it imports what a variable or a file names
        raise StoreError(
            f"the keyring that PYTHON_KEYRING_BACKEND or keyringrc.cfg names cannot be loaded ({type(error).__name__})",
            hint="keyring diagnose",
        ) from error


def _speaks_secret_service(backend: KeyringBackend) -> bool:
    """Whether it is the Secret Service, or a chain that has it: Codex uses that one wherever it is."""
    from keyring.backends import SecretService, chainer

    found = backend.backends if isinstance(backend, chainer.ChainerBackend) else [backend]
    return any(type(each) is SecretService.Keyring for each in found)


# What can be wrong


def missing(why: str) -> NoKeyringError:
    """No keyring."""
    return NoKeyringError(f"there is no keyring to keep logins in: {why}", hint=f"write {_FILE} in config.toml")


def locked() -> StoreError:
    """It is locked, and nobody is asked here."""
    return StoreError(
        "the keyring is locked",
        hint="unlock it in the desktop's keyring program, or sign in anew on a terminal",
    )


def denied(name: Name) -> StoreError:
    """The user or the system said no."""
    return StoreError(
        f"{name}: the system does not let keyfob use it", hint=f"allow it in the keyring, or write {_FILE}"
    )


def ambiguous(name: Name, count: int) -> DamagedLoginError:
    """Which of them counts, nobody can say."""
    return DamagedLoginError(f"{name}: there are {count} entries of this name", hint="keyfob doctor")


def not_taken(name: Name, text: str, why: str) -> StoreError:
    """A write failed; a keyring that has a limit often does not say that this was it."""
    size = len(text.encode("utf-16-le"))
    if size <= WINDOWS_LIMIT:
        return broken(name, why)
    return TooLargeError(
        f"{name}: the keyring does not take an entry of {size} bytes ({why}); Windows stops at {WINDOWS_LIMIT}",
        hint=f"write {_FILE} in config.toml",
    )


def broken(name: Name, why: str) -> StoreError:
    """Anything else. why: the name of an error, never its text, which could hold what was to be stored."""
    return StoreError(f"{name}: the keyring failed ({why})", hint="keyfob doctor")


def silent(seconds: float) -> StoreError:
    """It hangs, and nobody waits for ever."""
    return StoreError(f"the keyring has not answered for {seconds:g} s", hint="keyfob doctor")
