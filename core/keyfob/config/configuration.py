"""The configuration: the layers merged, asked for one entry at a time, so that a fault in one does not stop another."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from keyfob.config import builtin
from keyfob.config.builtin import Base
from keyfob.config.entries import Entry, fault_at, find_layer, place
from keyfob.config.faults import meant, toml, toml_key, wrongs
from keyfob.config.layers import TOO_DEEP, KeyPath, Layer, merge
from keyfob.config.models import CommandTable, KeyfobFile, KeyfobTable, ProviderEntry, Requirements
from keyfob.config.policy import Policy, Rule
from keyfob.errors import ConfigError, Fault, UnknownProviderError, at
from keyfob.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Model = TypeVar("Model", bound=BaseModel)

# An entry with one of these, or with a table that is none of the additions, says itself where requests go or what they
# carry.
_DECISIVE = frozenset({"base_url", "requires_openai_auth", "env_key", "experimental_bearer_token", "auth"})
# The tables of what is added to requests, and the words that a secret among it goes by.
_ADDITIONS = frozenset({"http_headers", "env_http_headers", "query_params"})
_SECRET = re.compile(
    "auth|bearer|cert|cookie|credential|jwt|key|login|pass|pwd|secret|session|sig|token|(?<![a-z])(pat|pin)(?![a-z])",
    re.IGNORECASE,
)
# The rules that any layer can set.
_FORCED = ("forced_login_method", "forced_chatgpt_workspace_id")


def sounds_secret(name: str) -> bool:
    """Whether a header, a parameter or a variable is called as those are that hold a secret."""
    return _SECRET.search(name) is not None


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _decisive(key: str, value: object) -> Iterator[KeyPath]:
    """The paths in this key of an entry that lead or authenticate its requests; of additions, those that sound so."""
    if key in _ADDITIONS and isinstance(value, dict):
        for name, held in value.items():
            if sounds_secret(f"{name} {held}" if key == "env_http_headers" else name):
                yield key, name
    elif key in _DECISIVE or _is_table(value):
        yield (key,)


class Configuration:
    """The layers merged, `requirements` apart. `environ` moves the built-in local providers."""

    def __init__(self, layers: Sequence[Layer], environ: Mapping[str, str]) -> None:
        self.layers = [layer for layer in layers if layer.name != "requirements"]
        self._requirements = [layer for layer in layers if layer.name == "requirements"]
        self._environ = environ
        try:
            self._data = merge(layer.data for layer in self.layers)
        except RecursionError:
            raise ConfigError.of([Fault(TOO_DEEP)]) from None

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The ids that the files define, in their order. Raises ConfigError if `model_providers` is no table."""
        return tuple(self._providers)

    @property
    def default_id(self) -> str:
        """`model_provider`, or `openai`. Raises ConfigError if it is no string, or if a file chooses a profile."""
        if "profile" in self._data:  # Codex refuses to start: what the profile was to change would be passed over
            instead = "remove it, and give --profile NAME, which reads NAME.config.toml"
            raise ConfigError.of([fault_at(self.layers, ("profile",), "is not read any more", instead)])
        return self._top("model_provider").model_provider

    @property
    def store(self) -> str:
        """Where logins are kept: `file`, `keyring`, `auto` or `ephemeral`.

        Raises ConfigError for another word, and for another store than the one that is required.
        """
        given = self._top("cli_auth_credentials_store").cli_auth_credentials_store
        return self._required("cli_auth_credentials_store") or given

    @property
    def ruled(self) -> bool:
        """Whether there is any rule on logins; whether it can be read is another matter."""
        required = any(key in layer.data for layer in self._requirements for key in Requirements.model_fields)
        return required or any(key in self._data for key in _FORCED)

    @lazy
    def policy(self) -> Policy:
        """The rules in force. Raises ConfigError for one that makes no sense, and if they permit nothing."""
        forced = [self._rule(self.layers, key, getattr(self._top(key), key) or None) for key in _FORCED]
        required = [self._rule(self._requirements, key, self._required(key)) for key in Requirements.model_fields]
        return Policy([rule for rule in forced + required if rule])

    def _rule(self, layers: Sequence[Layer], key: str, value: str | list[str] | None) -> Rule | None:
        """One rule with its place; an empty list is a rule that permits nothing. None where there is no rule."""
        layer = find_layer(layers, (key,))
        if layer is None or value is None:
            return None
        held = value if isinstance(value, str) else tuple(value)
        return Rule(key, held, layer.name, layer.path, layer.line((key,)))

    def _required(self, key: str) -> Any:
        """What has to be the value of that key; None where nothing says so. Raises ConfigError if a layer differs."""
        required = getattr(self._requirement, key)
        if required is not None and self._data.get(key, required) != required:
            where = at(*place(self._requirements, (key,)))
            message = f"contradicts {key} = {toml(required)}, which {where} requires"
            raise ConfigError.of([fault_at(self.layers, (key,), message, "remove it, or write the same")])
        return required

    @lazy
    def _requirement(self) -> Requirements:
        data = self._requirements[0].data if self._requirements else {}
        return self._validated(Requirements, data, (), self._requirements)

    @property
    def warnings(self) -> list[Fault]:
        """A warning for each rule that stands where it has no effect."""
        instead = "write it in managed_config.toml"
        return [
            fault_at(self._requirements, (key,), "has no effect in this file", instead)
            for key in _FORCED
            if find_layer(self._requirements, (key,))
        ]

    @property
    def allowed_plugins(self) -> tuple[frozenset[str], ...]:
        """Each allow-list of distributions in force: the managed layer's, then the merged one of the others."""
        managed = merge(layer.data for layer in self.layers if layer.name == "managed")
        others = merge(layer.data for layer in self.layers if layer.name != "managed")
        with self._all_at_once():
            tables = [self._validated(KeyfobTable, data.get("keyfob", {}), ("keyfob",)) for data in (managed, others)]
        return tuple(frozenset(table.allow_plugins) for table in tables if table.allow_plugins is not None)

    def built_in(self, provider: str) -> Base | None:
        """The entry of a built-in provider, or None if there is none of this id."""
        base, own = builtin.built_in(provider, self._environ), self._own(provider)
        if base and "aws" in base.data and isinstance(own, dict) and "auth" in own:
            return Base({key: value for key, value in base.data.items() if key != "aws"})  # as Codex: a command instead
        if base is None or provider != "openai":
            return base
        url = self._top("openai_base_url").openai_base_url
        return Base({**base.data, "base_url": url}, *place(self.layers, ("openai_base_url",))) if url else base

    def decides(self, provider: str) -> bool:
        """Whether the files say where its requests go, or what authenticates them.

        Then nothing that a plugin ships under this id counts: its base URL must not get a user's key, nor the user's
        base URL its key.
        """
        return bool(self.deciding(provider)) or not isinstance(self._own(provider), dict | None)

    def deciding(self, provider: str) -> tuple[KeyPath, ...]:
        """The paths in the entry that say so; none where it is no table."""
        own = self._own(provider)
        table = own if isinstance(own, dict) else {}
        return tuple(path for key, value in table.items() for path in _decisive(key, value))

    def entry(self, provider: str, shipped: Base | None = None) -> Entry:
        """One entry: what the layers say over what is built in or `shipped` by a plugin.

        Raises UnknownProviderError, or ConfigError with every fault of the files, this entry's first.
        """
        base = self.built_in(provider) or shipped
        if base is None and self._own(provider) is None:
            raise self._unknown(provider)
        with self._all_at_once():
            fields = self._fields(provider, base)
        extra = fields.model_extra or {}
        tables = {key: value for key, value in extra.items() if _is_table(value)}
        scalars = tuple(key for key in extra if key not in tables)
        entry = Entry(provider, fields, tables, scalars, self.layers, base)
        return replace(entry, warnings=tuple(_ignored(entry)))

    @lazy
    def faults(self) -> list[Fault]:
        """Every fault of the files: of the top-level keys, then of each provider."""
        top = {key: self._data[key] for key in KeyfobFile.model_fields if key in self._data}
        providers = top.pop("model_providers", {})
        found = _faults_in(lambda: self._validated(KeyfobFile, top, ()))
        if not isinstance(providers, dict):
            return found + _faults_in(lambda: self._providers)
        return found + [fault for name in providers for fault in _faults_in(partial(self._fields, name))]

    @property
    def _providers(self) -> dict[str, Any]:
        providers = self._data.get("model_providers", {})
        if not isinstance(providers, dict):
            keys = ("model_providers",)
            raise ConfigError.of([fault_at(self.layers, keys, "expected a table", "write [model_providers.<id>]")])
        return providers

    def _own(self, provider: str) -> Any:  # a table, if the file is right
        return self._providers.get(provider)

    def _fields(self, provider: str, base: Base | None = None) -> ProviderEntry:
        """The fields of one entry. Raises ConfigError with its faults alone."""
        table, own = ("model_providers", provider), self._own(provider)
        if own is not None and provider in builtin.FIXED:
            instead = f"rename it, for example to {provider}-custom"
            raise ConfigError.of([fault_at(self.layers, table, "built-in providers cannot be redefined", instead)])
        if not isinstance(own, dict | None):
            instead = f"write [model_providers.{toml_key(provider)}]"
            raise ConfigError.of([fault_at(self.layers, table, "expected a table", instead)])
        return self._validated(ProviderEntry, merge([base.data if base else {}, own or {}]), table, base=base)

    def _top(self, key: str) -> KeyfobFile:
        """The top-level keys, of which that one is checked."""
        with self._all_at_once():
            return self._validated(KeyfobFile, {key: self._data[key]} if key in self._data else {}, ())

    def _validated(
        self,
        model: type[Model],
        data: object,
        table: KeyPath,
        layers: Sequence[Layer] | None = None,
        base: Base | None = None,
    ) -> Model:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = wrongs(error, model, data)
        raise ConfigError.of(
            [
                fault_at(layers or self.layers, (*table, *wrong.keys), wrong.message, wrong.instead, base)
                for wrong in found
            ]
        )

    @contextmanager
    def _all_at_once(self) -> Iterator[None]:
        """Add to the faults that stop what is wanted all others of the files, to be mended in one go."""
        try:
            yield
        except ConfigError as error:
            faults = error.faults
        else:
            return
        raise ConfigError.of(list(dict.fromkeys([*faults, *self.faults])))

    def _unknown(self, provider: str) -> UnknownProviderError:
        near, known = meant(provider, [*self.user_ids, *builtin.IDS]), "keyfob providers"
        if self._data.get("model_provider") == provider:
            fault = fault_at(self.layers, ("model_provider",), f"there is no provider {provider!r}", near)
            return UnknownProviderError(str(fault), hint=known, faults=[fault])
        files = " or ".join(layer.path for layer in self.layers if layer.path) or "the files, for there are none"
        return UnknownProviderError(f"there is no provider {provider!r} in {files}", hint=near or known)


def _faults_in(check: Callable[[], object]) -> list[Fault]:
    try:
        check()
    except ConfigError as error:
        return list(error.faults)
    return []


def _ignored(entry: Entry) -> Iterator[Fault]:
    """A warning for each scalar that nobody knows; an unknown table is an error, and routing's business."""
    yield from entry.unknown(ProviderEntry, (), entry.scalars)
    if entry.fields.auth:
        yield from entry.unknown(CommandTable, ("auth",), entry.fields.auth.model_extra or ())
