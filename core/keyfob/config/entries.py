"""The entry of one provider: what is set in it, by which file and line, and how its faults are said."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob.config.faults import dotted, meant, toml_key, wrongs
from keyfob.errors import Fault, at
from keyfob.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import BaseModel, ValidationError

    from keyfob.config.builtin import Base
    from keyfob.config.layers import KeyPath, Layer
    from keyfob.config.models import ProviderEntry


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of an entry as one layer sets it. `wins` is False where a higher layer sets it too."""

    key: str
    layer: str
    path: str | None
    line: int | None
    wins: bool

    @property
    def place(self) -> str:
        """`file:line`, or `-c` for a value of the command line."""
        return at(self.path, self.line)


@dataclass(frozen=True)
class Entry:
    """One provider as configured: its fields, the tables that a plugin has to claim, and where each key stands.

    scalars: keys that keyfob does not know and that are no tables. base: what the files' settings were laid over.
    """

    id: str
    fields: ProviderEntry
    tables: Mapping[str, Any] = field(repr=False)
    scalars: tuple[str, ...]
    layers: Sequence[Layer] = field(repr=False)
    base: Base | None = field(repr=False)
    warnings: tuple[Fault, ...] = ()

    @property
    def keys(self) -> KeyPath:
        """The path of its table."""
        return ("model_providers", self.id)

    @lazy
    def settings(self) -> tuple[Setting, ...]:
        """Each key of each layer, the winning one first."""
        found = [(key, layer) for layer in reversed(self.layers) for key in _table(layer.data, self.keys)]
        winners = dict(reversed(found))
        return tuple(
            Setting(key, layer.name, layer.path, layer.line((*self.keys, key)), wins=winners[key] is layer)
            for key, layer in found
        )

    @property
    def shipped(self) -> tuple[Setting, ...]:
        """The same of what a plugin ships; tables are merged key by key, so each of their keys is one."""
        if self.base is None or not self.base.shipped:
            return ()
        set_by_files = [path for path in _leaves(self.base.data) if find_layer(self.layers, (*self.keys, *path))]
        return tuple(
            Setting(dotted(path) or "", "plugin", self.base.path, None, wins=path not in set_by_files)
            for path in _leaves(self.base.data)
        )

    def setting(self, key: str) -> Setting | None:
        """The winning setting of a key; None where no layer sets it."""
        return next((setting for setting in self.settings if setting.key == key), None)

    def fault(self, key: str | KeyPath | None, message: str, instead: str | None = None) -> Fault:
        """A fault of this entry, placed at that key (or path of keys), or at its table."""
        inner = () if key is None else (key,) if isinstance(key, str) else key
        return fault_at(self.layers, (*self.keys, *inner), message, instead, self.base)

    def faults_of(self, error: ValidationError, model: type[BaseModel], data: object, table: KeyPath) -> list[Fault]:
        """What pydantic found in the part of this entry at `table` that a plugin reads."""
        return [self.fault((*table, *wrong.keys), wrong.message, wrong.instead) for wrong in wrongs(error, model, data)]

    def unknown(self, model: type[BaseModel], table: KeyPath, given: Iterable[str]) -> tuple[Fault, ...]:
        """A warning for each given key of the table at `table` that its model does not know."""
        known = [*model.model_fields, *(item.alias for item in model.model_fields.values() if item.alias)]
        return tuple(
            self.fault((*table, key), "is not known and is ignored", meant(key, known))
            for key in given
            if key not in known
        )

    def read_by(self, model: type[BaseModel], home: str) -> dict[str, Any]:
        """The fields that a built-in plugin reads, with `auth.cwd` made absolute. home: what `~` in it stands for."""
        fields = self.fields.model_dump(include=set(model.model_fields))
        command = fields.get("auth")
        if command and command["cwd"] is not None:
            command["cwd"] = self._cwd(command["cwd"], home)
        return fields

    def _cwd(self, given: str, home: str) -> str:
        """A relative one counts from the file that sets it; `~`, alone or before a slash, is the home folder."""
        first, slash, rest = given.partition("/")
        if first == "~":
            return home + slash + rest
        return os.path.join(self.folder_of("auth", "cwd") or _current_folder(), given)

    def folder_of(self, *keys: str) -> str | None:
        """The folder of the file that sets the key at that path; None where `-c` or nothing does."""
        layer = find_layer(self.layers, (*self.keys, *keys))
        return os.path.dirname(layer.path) if layer and layer.path else None


def _current_folder() -> str:
    """The current folder; "" where it was deleted, and then nothing is found there."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def find_layer(layers: Sequence[Layer], keys: KeyPath) -> Layer | None:
    """The highest layer that sets that key."""
    return next((layer for layer in reversed(layers) if layer.holds(keys)), None)


def place(layers: Sequence[Layer], keys: KeyPath, base: Base | None = None) -> tuple[str | None, int | None]:
    """File (or `-c`) and line of a key; where no layer sets it, of `base`; else of the nearest table around it."""
    layer = find_layer(layers, keys)
    if layer is None and base is not None and base.path is not None:
        return base.path, base.line
    nearest = 1 if keys[0] == "model_providers" else 0  # that it is there says nothing of one entry
    around = (find_layer(layers, keys[:end]) for end in range(len(keys) - 1, nearest, -1))
    layer = layer or next(filter(None, around), None)
    return (layer.place, layer.line(keys)) if layer else (None, None)


def fault_at(
    layers: Sequence[Layer], keys: KeyPath, message: str, instead: str | None = None, base: Base | None = None
) -> Fault:
    """A fault at the place of that key."""
    path, line = place(layers, keys, base)
    inside = keys[0] == "model_providers" and len(keys) > 1
    provider, key = (toml_key(keys[1]), keys[2:]) if inside else (None, keys)
    return Fault(message, instead, path=path, line=line, provider=provider, key=dotted(key))


def _leaves(table: Mapping[str, Any], around: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of each key that holds no table with keys."""
    for key, value in table.items():
        path = (*around, key)
        yield from _leaves(value, path) if isinstance(value, dict) and value else (path,)


def _table(data: object, keys: KeyPath) -> dict[str, Any]:
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}
