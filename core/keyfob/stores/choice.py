"""Which store a record is in: by `cli_auth_credentials_store`, and by whose record it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from keyfob.errors import StoreError
from keyfob.stores.file import FileStore, codex_locks
from keyfob.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.store import Store
    from keyfob.errors import Fault

# The plugin whose login Codex shares: one record for all its providers, in Codex's own places.
SHARED = "openai"


def store_for(mode: str, codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]) -> Store:
    """The store of one provider's record. mode: `file`, `keyring`, `auto` or `ephemeral`."""
    if mode == "ephemeral":
        return MemoryStore()
    if mode == "file":
        return file_store(codex_home, plugin, provider, warn)
    raise StoreError(f"cli_auth_credentials_store = {mode!r} cannot be used yet")


def file_store(codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]) -> FileStore:
    """The file that the record is in, or would be."""
    if plugin == SHARED:
        return FileStore(os.path.join(codex_home, "auth.json"), writers=codex_locks(codex_home), warn=warn)
    name = f"{quote(provider, safe='')}.json"
    return FileStore(os.path.join(codex_home, "keyfob", quote(plugin, safe=""), name), warn=warn)
