"""Stored logins that no provider uses any more: its entry is gone, is faulty, or goes to another plugin now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from keyfob.cli.logins import logins
from keyfob.errors import DamagedLoginError, KeyfobError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is still stored in one place for a provider of that name."""

    provider: str
    plugin: str
    store: FileStore | KeyringStore

    def __str__(self) -> str:
        return f"no provider uses what is stored there; keyfob logout {self.provider} removes it"

    def remove(self) -> None:
        """Remove it. Its issuer is not told: only its plugin could. Raises StoreError."""
        with self.store.lock(), self.store.writing():
            self.store.clear()
            self.store.remove()


def leftovers(session: Session, provider: str | None = None) -> list[Leftover]:
    """Each of them, or those of one name. A keyring that cannot be looked into is passed over."""
    from keyfob.stores.choice import places

    home = session.places.codex_home
    used = {(session.host.provider(login.provider).route.plugin, login.provider) for login in logins(session)}
    stored = (each for each in _stored(home) if each not in used and provider in (None, each[1]))
    return [
        Leftover(name, plugin, store)
        for plugin, name in stored
        for store in places(home, plugin, name, lambda _: None)
        if _holds(store)
    ]


def _stored(codex_home: str) -> Iterator[tuple[str, str]]:
    """Plugin and provider of each login that ever was stored: its lock stays, wherever it was itself."""
    from keyfob.stores.choice import SHARED

    top = os.path.join(codex_home, "keyfob")
    for folder in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        plugin = os.path.join(top, folder)
        if unquote(folder) == SHARED or not os.path.isdir(plugin):
            continue
        names = {name.removesuffix(".keyfob.lock") for name in os.listdir(plugin)}
        yield from ((unquote(folder), unquote(name[:-5])) for name in sorted(names) if name.endswith(".json"))


def _holds(store: FileStore | KeyringStore) -> bool:
    try:
        return store.read() is not None
    except DamagedLoginError:
        return True
    except KeyfobError:
        return False
