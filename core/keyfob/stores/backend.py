"""An entry in a keyring that the `keyring` library reaches: macOS's, Windows's, or a third party's backend."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError

from keyfob.stores import entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend


class BackendEntry:
    """See `Entry`. A backend finds the one entry of a name by itself, and may ask the user by itself.

    To change an entry, some delete it and make it anew (macOS's does). So the new text stands in an entry beside it
    meanwhile, which counts where the other is gone: whoever is killed between the two has lost nothing.
    """

    def __init__(self, name: entry.Name, backend: KeyringBackend) -> None:
        self.name = name
        self._backend = backend
        self._next = f"{name.username}|next"

    def read(self) -> str | None:
        """See `Entry.read`."""
        with self._told():
            text = self._get(self.name.username)
            return self._get(self._next) if text is None else text

    def write(self, text: str, *, every: bool = False) -> None:
        """See `Entry.write`. There is one of a name."""
        with self._told(text):
            if self._get(self.name.username) is not None:
                self._backend.set_password(self.name.service, self._next, text)
            self._backend.set_password(self.name.service, self.name.username, text)
            self._drop(self._next)

    def delete(self) -> bool:
        """See `Entry.delete`. What is beside it goes first, or it would count."""
        there = self.read() is not None
        with self._told():
            self._drop(self._next)
            self._drop(self.name.username)
        if self.read() is not None:
            raise entry.broken(self.name, "it is still there after it was deleted")
        return there

    def drop_spare(self) -> None:
        """See `Entry.drop_spare`."""
        with self._told():
            if self._get(self.name.username) is not None:
                self._drop(self._next)

    def _get(self, username: str) -> str | None:
        return self._backend.get_password(self.name.service, username)

    def _drop(self, username: str) -> None:
        if self._get(username) is not None:
            with contextlib.suppress(PasswordDeleteError):  # whether it is gone is looked at
                self._backend.delete_password(self.name.service, username)

    def unlock(self) -> None:
        """A backend asks when it is used, not before."""

    @contextlib.contextmanager
    def _told(self, text: str | None = None) -> Iterator[None]:
        """Turn a backend's errors into ours, without their text. text: what is being written."""
        try:
            yield
        except NoKeyringError:
            raise entry.missing("no backend of the keyring library is usable here") from None
        except KeyringLocked as error:
            # Of macOS's both: only the cause tells a locked keychain from a user who said no.
            said_no = type(error.__cause__).__name__ == "KeychainDenied"
            raise (entry.denied(self.name) if said_no else entry.locked()) from None
        except PermissionError:
            raise entry.denied(self.name) from None
        except Exception as error:  # noqa: BLE001  # whatever it is, its text goes no further
            why = type(error).__name__
            raise (entry.broken(self.name, why) if text is None else entry.not_taken(self.name, text, why)) from None
