"""An entry of the Secret Service of a Linux session (GNOME Keyring, KWallet, KeePassXC), where Codex keeps its login.

The `keyring` library would make a second item beside one that another program made, and everyone else would go on
reading the old one: here an item is found by service and username, and its secret replaced in place. A locked
collection is told, never unlocked, unless the user can be asked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import secretstorage
from jeepney import DBusErrorResponse
from jeepney.bus import get_bus
from jeepney.io.blocking import DBusConnection, prep_socket
from secretstorage.exceptions import (
    ItemNotFoundException,
    LockedException,
    PromptDismissedException,
    SecretServiceNotAvailableException,
)
from secretstorage.util import add_match_rules

from keyfob.stores import entry

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds without an answer until the daemon counts as hung, and for a person to type a password.
PATIENCE = 10.0
_PERSONS_PATIENCE = 120.0


class _Bus(DBusConnection):  # type: ignore[misc]  # jeepney is untyped
    """A connection to the session bus, as `secretstorage.dbus_init` makes it, but one that is never waited for long.

    patience: seconds for each answer, those to the greeting too. Raises SecretServiceNotAvailableException where there
    is no bus, TimeoutError.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        try:
            socket = prep_socket(get_bus("SESSION"), timeout=patience)
        except TimeoutError:
            raise
        except (KeyError, ValueError, OSError) as error:
            raise SecretServiceNotAvailableException(type(error).__name__) from None
        try:
            super().__init__(socket)
            add_match_rules(self)
        except BaseException:
            self.close()
            raise

    def send_and_get_reply(self, message: Any, *, timeout: float | None = None) -> Any:
        return super().send_and_get_reply(message, timeout=timeout or self._patience)

    def recv_until_filtered(self, queue: Any, *, timeout: float | None = None) -> Any:
        return super().recv_until_filtered(queue, timeout=timeout or self._patience)


class SecretServiceEntry:
    """See `Entry`. An item, in whichever collection it is; a new one goes into the default collection."""

    def __init__(self, name: entry.Name) -> None:
        self.name = name

    def read(self) -> str | None:
        """See `Entry.read`."""
        with self._bus() as bus:
            items = self._one(bus)
            return items[0].get_secret().decode("utf-8", "replace") if items else None

    def write(self, text: str, *, every: bool = False) -> None:
        """See `Entry.write`."""
        with self._bus() as bus:
            items = self._items(bus) if every else self._one(bus)
            if items:
                items[0].set_secret(text.encode())
                for other in items[1:]:
                    other.delete()
                return
            collection = _default(bus)
            if collection is None:
                raise entry.missing("the Secret Service has no default keyring yet")
            collection.create_item(self.name.label, self.name.attributes, text.encode())

    def delete(self) -> bool:
        """See `Entry.delete`."""
        with self._bus() as bus:
            items = self._items(bus)
            for item in items:
                item.delete()
            return bool(items)

    def is_there(self) -> bool:
        """Whether this session has a Secret Service. Raises StoreError where that cannot be told."""
        try:
            with self._bus() as bus:
                return bool(secretstorage.check_service_availability(bus))
        except entry.NoKeyringError:
            return False

    def drop_spare(self) -> None:
        """There is none: a secret is replaced in place."""

    def unlock(self) -> None:
        """See `Entry.unlock`. Where there is no default keyring yet, the user is asked to make one."""
        with self._bus(_PERSONS_PATIENCE) as bus:
            _open(secretstorage.get_default_collection(bus))
            for item in secretstorage.search_items(bus, self.name.query):
                _open(item)

    def _one(self, bus: Any) -> list[secretstorage.Item]:
        """The item of this name, if there is one."""
        items = self._items(bus)
        if len(items) > 1:
            raise entry.ambiguous(self.name, len(items))
        return items

    def _items(self, bus: Any) -> list[secretstorage.Item]:
        """Every item of this name. Where none is found, a locked collection may hold one: not every daemon tells."""
        items = list(secretstorage.search_items(bus, self.name.query))
        if not items:
            collection = _default(bus)
            if collection is not None:
                collection.ensure_not_locked()
        return items

    @contextlib.contextmanager
    def _bus(self, patience: float | None = None) -> Iterator[Any]:
        """A connection, whose errors are turned into ours."""
        patience = patience or PATIENCE
        try:
            with contextlib.closing(_Bus(patience)) as bus:
                yield bus
        except SecretServiceNotAvailableException as error:
            raise entry.missing("this session has no Secret Service") from error
        except (LockedException, PromptDismissedException) as error:
            raise entry.locked() from error
        except TimeoutError as error:
            raise entry.silent(patience) from error
        except DBusErrorResponse as error:
            raise self._refused(str(error.name)) from None
        except (secretstorage.SecretStorageException, OSError) as error:
            raise entry.broken(self.name, type(error).__name__) from None

    def _refused(self, name: str) -> Exception:
        """By the name of a D-Bus error."""
        if name == "org.freedesktop.Secret.Error.IsLocked":
            return entry.locked()
        if name == "org.freedesktop.DBus.Error.AccessDenied":
            return entry.denied(self.name)
        return entry.broken(self.name, name)


def _default(bus: Any) -> secretstorage.Collection | None:
    """The default collection; None where the user has not made one yet."""
    try:
        return secretstorage.Collection(bus)
    except ItemNotFoundException:
        return None


def _open(place: secretstorage.Collection | secretstorage.Item) -> None:
    """Have the user asked for the password, if it is locked."""
    if place.is_locked() and place.unlock():
        raise entry.locked()
