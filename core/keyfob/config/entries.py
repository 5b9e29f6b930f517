"""Entries: the merged configuration, asked for one provider at a time, so that a fault in one does not stop another."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from keyfob.config import builtin
from keyfob.config.faults import faults_of, toml_key
from keyfob.config.layers import KeyPath, Layer, merge
from keyfob.config.models import CommandTable, KeyfobFile, KeyfobTable, ProviderEntry
from keyfob.errors import ConfigError, Fault, UnknownProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Model = TypeVar("Model", bound=BaseModel)


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
        return "-c" if self.path is None else self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Entry:
    """One provider as configured: its fields, the tables that a plugin has to claim, and where each key stands."""

    id: str
    fields: ProviderEntry
    tables: Mapping[str, Any] = field(repr=False)
    warnings: tuple[Fault, ...]
    layers: Sequence[Layer] = field(repr=False)

    @property
    def keys(self) -> KeyPath:
        """The path of its table."""
        return ("model_providers", self.id)

    @property
    def user_defined(self) -> bool:
        """Whether any layer sets a key of it; else it is built in, or shipped by a plugin."""
        return any(layer.holds(self.keys) for layer in self.layers)

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """Each key of each layer, the winning one first."""
        found = [(key, layer) for layer in reversed(self.layers) for key in _table(layer.data, self.keys)]
        winners = dict(reversed(found))
        return tuple(
            Setting(key, layer.name, layer.path, layer.line((*self.keys, key)), wins=winners[key] is layer)
            for key, layer in found
        )

    def setting(self, key: str) -> Setting | None:
        """The winning setting of a key; None where no layer sets it."""
        return next((setting for setting in self.settings if setting.key == key), None)

    def fault(self, key: str | None, message: str, instead: str | None = None) -> Fault:
        """A fault of this entry, placed at that key or at its table."""
        keys = self.keys if key is None else (*self.keys, *key.split("."))
        layer = find_layer(self.layers, keys) or find_layer(self.layers, self.keys)
        path, line = (layer.path or "-c", layer.line(keys)) if layer else (None, None)
        return Fault(message, instead, path=path, line=line, provider=toml_key(self.id), key=key)

    def faults_of(self, error: ValidationError, model: type[BaseModel], data: object, table: KeyPath) -> list[Fault]:
        """What pydantic found in a plugin's table of this entry."""
        return faults_of(
            error, model, data, (*self.keys, *table), lambda keys: find_layer(self.layers, keys), toml_key(self.id)
        )

    def folder_of(self, key: str) -> str | None:
        """The folder of the file that sets `key` (dotted); None where `-c` or nothing does."""
        layer = find_layer(self.layers, (*self.keys, *key.split(".")))
        return os.path.dirname(layer.path) if layer and layer.path else None


def find_layer(layers: Sequence[Layer], keys: KeyPath) -> Layer | None:
    """The highest layer that sets that key."""
    return next((layer for layer in reversed(layers) if layer.holds(keys)), None)


def _table(data: object, keys: KeyPath) -> dict[str, Any]:
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}


class Configuration:
    """The layers merged. `environ` moves the built-in local providers."""

    def __init__(self, layers: Sequence[Layer], environ: Mapping[str, str]) -> None:
        self.layers = layers
        self._environ = environ
        self._data = merge(layer.data for layer in layers)

    @cached_property
    def user_ids(self) -> tuple[str, ...]:
        """The ids that the files define, in their order."""
        providers = self._data.get("model_providers", {})
        return tuple(providers) if isinstance(providers, dict) else ()

    def own_keys(self, provider: str) -> frozenset[str]:
        """The keys that the files set in one entry."""
        own = self._own(provider)
        return frozenset(own) if isinstance(own, dict) else frozenset()

    @property
    def default_id(self) -> str:
        """`model_provider`, or `openai`. Raises ConfigError if it is no string."""
        return str(self._top("model_provider", "openai"))

    @property
    def allowed_plugins(self) -> tuple[frozenset[str], ...]:
        """Each allow-list of distributions in force: the managed layer's, then the merged one of the others."""
        managed = merge(layer.data for layer in self.layers if layer.name == "managed").get("keyfob", {})
        others = merge(layer.data for layer in self.layers if layer.name != "managed").get("keyfob", {})
        tables = [self._validated(KeyfobTable, table, ("keyfob",)) for table in (managed, others)]
        return tuple(frozenset(table.allow_plugins) for table in tables if table.allow_plugins is not None)

    def built_in(self, provider: str) -> dict[str, Any] | None:
        """The entry of a built-in provider, or None if there is none of this id."""
        url = self._top("openai_base_url", None) if provider == "openai" else None
        return builtin.built_in(provider, self._environ, url)

    def entry(self, provider: str, shipped: Mapping[str, Any] | None = None) -> Entry:
        """One entry: what the layers say over what is built in or `shipped` by a plugin.

        Raises UnknownProviderError, or ConfigError with every fault of the files, this entry's first.
        """
        own = self._own(provider)
        base = self.built_in(provider)
        if own is None and base is None and shipped is None:
            raise self._unknown(provider)
        data = merge([dict(base or shipped or {}), own or {}])
        faults = self._faults(provider, data)
        if faults:
            others = [fault for other in self.user_ids if other != provider for fault in self._faults(other)]
            raise ConfigError.of(faults + others)
        return self._build(provider, data)

    def _own(self, provider: str) -> dict[str, Any] | None:
        providers = self._top("model_providers", {})
        return providers.get(provider) if isinstance(providers, dict) else None

    def _build(self, provider: str, data: dict[str, Any]) -> Entry:
        fields = ProviderEntry.model_validate(data)
        extra = fields.model_extra or {}
        tables = {key: value for key, value in extra.items() if _is_table(value)}
        unknown = [self._unknown_key(provider, (key,), ProviderEntry) for key in extra if key not in tables]
        inner = (fields.auth.model_extra or {}) if fields.auth else {}
        unknown += [self._unknown_key(provider, ("auth", key), CommandTable) for key in inner]
        return Entry(provider, fields, tables, tuple(unknown), self.layers)

    def _faults(self, provider: str, data: dict[str, Any] | None = None) -> list[Fault]:
        table = ("model_providers", provider)
        if data is None:
            data = merge([self.built_in(provider) or {}, self._own(provider) or {}])
        if provider in builtin.FIXED and self._own(provider) is not None:
            message = "built-in providers cannot be redefined"
            return [self._fault_at(table, message, f"rename it, for example to {provider}-custom", provider)]
        if not isinstance(self._own(provider), dict | None):
            return [
                self._fault_at(table, "expected a table", f"write [model_providers.{toml_key(provider)}]", provider)
            ]
        try:
            ProviderEntry.model_validate(data)
        except ValidationError as error:
            return faults_of(error, ProviderEntry, data, table, self._find, toml_key(provider))
        return []

    def _fault_at(self, keys: KeyPath, message: str, instead: str, provider: str) -> Fault:
        layer = self._find(keys)
        path, line = (layer.path or "-c", layer.line(keys)) if layer else (None, None)
        return Fault(message, instead, path=path, line=line, provider=toml_key(provider))

    def _unknown_key(self, provider: str, keys: KeyPath, model: type[BaseModel]) -> Fault:
        near = difflib.get_close_matches(keys[-1], model.model_fields, n=1)
        path = ("model_providers", provider, *keys)
        layer = self._find(path)
        return Fault(
            "is not known and is ignored",
            f"did you mean `{near[0]}`?" if near else None,
            path=layer.path or "-c" if layer else None,
            line=layer.line(path) if layer else None,
            provider=toml_key(provider),
            key=".".join(keys),
        )

    def _unknown(self, provider: str) -> UnknownProviderError:
        known = [*self.user_ids, *builtin.IDS]
        near = difflib.get_close_matches(provider, known, n=1)
        files = " or ".join(layer.path for layer in self.layers if layer.path) or "no configuration file was found"
        hint = f"did you mean `{near[0]}`?" if near else "keyfob providers"
        return UnknownProviderError(f"there is no provider {provider!r} in {files}", hint=hint)

    def _top(self, key: str, default: Any) -> Any:  # the type is that of the field
        if key not in self._data:
            return default
        if key == "model_providers":  # checked entry by entry
            if not isinstance(self._data[key], dict):
                raise ConfigError.of([self._fault_at((key,), "expected a table", "write [model_providers.<id>]", "")])
            return self._data[key]
        return getattr(self._validated(KeyfobFile, {key: self._data[key]}, ()), key)

    def _validated(self, model: type[Model], data: object, table: KeyPath) -> Model:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise ConfigError.of(faults_of(error, model, data, table, self._find)) from None

    def _find(self, keys: KeyPath) -> Layer | None:
        return find_layer(self.layers, keys)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
