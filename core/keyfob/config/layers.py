"""Layers: the configuration files and `-c` values, each read once, merged from the lowest to the highest."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tomli

from keyfob.config.lines import Lines, locate
from keyfob.config.places import POLICY
from keyfob.errors import ConfigError, Fault, UsageError
from keyfob.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keyfob.config.places import Places

KeyPath = tuple[str, ...]

# No configuration is this large; what is should be refused before it has filled the memory.
LARGEST = 16 * 2**20
TOO_DEEP = "nested too deeply to be read"


@dataclass(frozen=True)
class Layer:
    """One file of configuration, or all `-c` values (then `path` is None)."""

    name: str
    path: str | None
    data: dict[str, Any] = field(repr=False)
    text: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """The file, or `-c`."""
        return self.path or "-c"

    @lazy
    def _lines(self) -> Lines:
        return locate(self.text)

    def line(self, keys: KeyPath) -> int | None:
        """The line of that key, or of the nearest table around it."""
        return self._lines.nearest(keys)

    def holds(self, keys: KeyPath) -> bool:
        """Whether this layer sets that key."""
        return _look_up(self.data, keys) is not _ABSENT


_ABSENT = object()


def _look_up(data: object, keys: KeyPath) -> object:
    for key in keys:
        if not isinstance(data, dict) or key not in data:
            return _ABSENT
        data = data[key]
    return data


def read_layers(places: Places, profile: str | None, overrides: Sequence[str]) -> list[Layer]:
    """Every layer that is there, lowest first; after them `requirements`.

    Raises ConfigError with the faults of all files that cannot be read.
    """
    if places.codex_home_fault:
        raise ConfigError(places.codex_home_fault, hint="set CODEX_HOME to a folder that is there")
    if profile is not None:
        _check_profile(places, profile)
    files = places.files(profile)
    layers, faults = _read_files((name, path) for name, path in files if name not in POLICY)
    if overrides:
        layers.append(Layer("session", None, overridden(overrides)))
    managed, managed_faults = _read_files((name, path) for name, path in files if name in POLICY)
    if faults or managed_faults:
        raise ConfigError.of(faults + managed_faults)
    return layers + managed


def _check_profile(places: Places, profile: str) -> None:
    if not profile or os.path.basename(profile) != profile or profile.startswith("."):
        raise UsageError(f"{profile!r} is not the name of a profile")
    own = [path for name, path in places.files(profile) if name == "profile"]
    if not any(os.path.exists(path) for path in own):
        raise ConfigError(f"profile {profile!r}: there is no {own[0]}", hint=f"write {own[0]}, or leave --profile out")


def _read_files(files: Iterable[tuple[str, str]]) -> tuple[list[Layer], list[Fault]]:
    layers: list[Layer] = []
    faults: list[Fault] = []
    for name, path in files:
        try:
            layer = _read_file(name, path)
        except ConfigError as error:
            faults += error.faults
        else:
            layers += [layer] if layer else []
    return layers, faults


def _read_file(name: str, path: str) -> Layer | None:
    text = read_text(path)
    if text is None:
        if name in POLICY and os.path.islink(path):
            raise ConfigError.of([Fault("cannot be read: it is a link that leads nowhere", path=path)])
        return None
    try:
        return Layer(name, path, tomli.loads(text), text)
    except tomli.TOMLDecodeError as error:
        fault = Fault(f"not valid TOML: {error.msg}", path=path, line=error.lineno, column=error.colno)
    except ValueError:  # the one thing that tomli lets through as it comes
        fault = Fault("holds an integer that is too large", path=path)
    except RecursionError:
        fault = Fault(TOO_DEEP, path=path)
    raise ConfigError.of([fault])


def read_text(path: str) -> str | None:
    """The text of a file, or None if there is none. Opens ordinary files only: a named pipe would wait for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ConfigError.of([Fault("this is not an ordinary file", path=path)])
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError.of([Fault(f"larger than {LARGEST >> 20} MiB", path=path)])
        return data.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError.of([Fault("not UTF-8 text", "save the file as UTF-8", path=path, line=line)]) from None
    except OSError as error:
        raise ConfigError.of([Fault(f"cannot be read: {error.strerror}", path=path)]) from error


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One table of many: tables are merged key by key, for anything else the later one wins. Raises RecursionError."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            held = merged.get(key)
            merged[key] = merge([held, value]) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


def overridden(overrides: Iterable[str]) -> dict[str, Any]:
    """One table of all `-c`. As in Codex, a table takes the place of what an earlier one said of its keys.

    Raises UsageError.
    """
    whole: dict[str, Any] = {}
    for text in overrides:
        (*around, last), value = _parse(text)
        table = whole
        for key in around:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[last] = value
    return whole


def _parse(text: str) -> tuple[KeyPath, Any]:
    """The path and the value that `-c key=value` stands for. Raises UsageError.

    The key may be dotted, its parts quoted as in TOML. The value is TOML; what is not valid TOML is taken as a string
    without its outer quotes. Neither can bring in a further key.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError("-c takes KEY=VALUE")
    return tuple(_key_parts(key.strip())), _toml_value(value.strip())


def _toml_value(text: str) -> object:
    table = _toml(f"value = {text}")
    return table["value"] if len(table) == 1 else text.strip("\"'")


def _key_parts(key: str) -> list[str]:
    parts: list[str] = []
    table: Any = _toml(f"{key} = 0")
    while isinstance(table, dict) and len(table) == 1:
        part, table = next(iter(table.items()))
        parts.append(part)
    return parts if table == 0 else key.split(".")


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError):
        return {}
