"""Stored logins that no working provider uses: its entry is gone, goes to another plugin now, or cannot be used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from keyfob.errors import DamagedLoginError, KeyfobError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is still stored in one place for a provider of that name. fault: what keeps its entry from being used."""

    provider: str
    plugin: str
    store: FileStore | KeyringStore
    fault: KeyfobError | None = None

    def __str__(self) -> str:
        if self.fault is not None:
            why = str(self.fault).partition("\n")[0]  # the entry's own fault is told first
            return f"its entry cannot be used: {why}"
        return f"no provider uses what is stored there; keyfob logout {self.provider} removes it"

    def remove(self) -> None:
        """Remove it. Its issuer is not told: only its plugin could. Raises StoreError."""
        with self.store.lock(), self.store.writing():
            self.store.delete()


def leftovers(session: Session) -> list[Leftover]:
    """Those that no provider uses any more. One whose entry only has to be mended is none: it is still wanted."""
    return [each for each in unclaimed(session) if each.fault is None]


def unclaimed(session: Session, provider: str | None = None) -> list[Leftover]:
    """Also those whose entry cannot be used; all, or those of one name. What cannot be looked into is passed over."""
    from keyfob.stores.choice import places

    home = session.places.codex_home
    used, faults = _entries(session)
    stored = (each for each in _stored(home) if each not in used and provider in (None, each[1]))
    return [
        Leftover(name, plugin, store, faults.get(name))
        for plugin, name in stored
        for store in places(home, plugin, name, lambda _: None)
        if _holds(store)
    ]


def _entries(session: Session) -> tuple[set[tuple[str, str]], dict[str, KeyfobError]]:
    """Plugin and provider of each login that is in use; and why another entry, of whatever plugin, cannot be used."""
    used: set[tuple[str, str]] = set()
    faults: dict[str, KeyfobError] = {}
    for name in session.host.ids:
        try:
            provider = session.host.provider(name)
            if provider.login is not None:
                used.add((provider.route.plugin, name))
        except KeyfobError as error:
            faults[name] = error
    return used, faults


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
