"""Which store a record is in: by `cli_auth_credentials_store`, and by whose record it is."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from keyfob.errors import DamagedLoginError, Fault, StoreError
from keyfob.stores.file import FileStore, codex_locks
from keyfob.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.store import Store
    from keyfob.stores.entry import Name
    from keyfob.stores.keyring import KeyringStore

# The plugin whose login Codex shares: one record for all its providers, in Codex's own places.
SHARED = "openai"


def store_for(mode: str, codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]) -> Store:
    """The store of one provider's record. mode: `file`, `keyring`, `auto` or `ephemeral`."""
    if mode == "ephemeral":
        return MemoryStore()
    if mode == "file":
        return file_store(codex_home, plugin, provider, warn)
    file, keyring = places(codex_home, plugin, provider, warn)
    if mode == "keyring":
        return keyring
    from keyfob.stores.auto import AutoStore

    return AutoStore(file, keyring)


def places(
    codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]
) -> tuple[FileStore, KeyringStore]:
    """Every place where the record may be, whatever the setting is now."""
    file = file_store(codex_home, plugin, provider, warn)
    return file, _keyring_store(codex_home, plugin, provider, file, warn)


def file_store(codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]) -> FileStore:
    """The file that the record is in, or would be."""
    if plugin == SHARED:
        return FileStore(os.path.join(codex_home, "auth.json"), writers=codex_locks(codex_home), warn=warn)
    name = f"{quote(provider, safe='')}.json"
    return FileStore(os.path.join(codex_home, "keyfob", quote(plugin, safe=""), name), warn=warn)


def clearable(
    mode: str, codex_home: str, plugin: str, provider: str, warn: Callable[[Fault], None]
) -> tuple[Store, ...]:
    """The places that signing out has to clear: all where the record may be.

    A keyring that cannot be looked into is one only where the setting has logins kept in it; one that is not there,
    only where the setting knows no other place. warn: told of one that is left out though it is there.
    """
    from keyfob.stores.entry import NoKeyringError

    file, keyring = places(codex_home, plugin, provider, warn)
    try:
        keyring.read()
    except NoKeyringError:
        return (file, keyring) if mode == "keyring" else (file,)
    except StoreError as error:
        if mode in {"keyring", "auto"}:
            return file, keyring
        warn(Fault(f"was not looked into: {error}", path=keyring.place))
        return (file,)
    except DamagedLoginError:
        pass
    return file, keyring


def _keyring_store(
    codex_home: str, plugin: str, provider: str, file: FileStore, warn: Callable[[Fault], None]
) -> KeyringStore:
    """The entry that the record is in, or would be: Codex's, as Codex names it, or one of our own."""
    from keyfob.stores.entry import Name
    from keyfob.stores.keyring import KeyringStore

    home = hashlib.sha256(os.path.realpath(codex_home).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if plugin == SHARED:
        record = Name("Codex Auth", f"cli|{home}", f"cli|{home}@Codex Auth:default (keyring v3.6.3)", "rust-keyring")
        return KeyringStore(record, _own(f"{plugin}|{home}|stage"), file, writers=codex_locks(codex_home), warn=warn)
    account = f"{plugin}|{provider}|{home}"
    return KeyringStore(_own(account), _own(f"{account}|stage"), file, warn=warn)


def _own(username: str) -> Name:
    from keyfob.stores.entry import Name

    return Name("keyfob", username, f"keyfob: {username}", "keyfob")
