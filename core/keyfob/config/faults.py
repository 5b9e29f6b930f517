"""Faults: what pydantic found, said with the key, what is wrong and what to write instead."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from keyfob.config.models import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

    from keyfob.config.layers import KeyPath

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "int_type": "an integer",
    "list_type": "an array",
    "model_type": "a table",
    "string_type": "a string",
}
_FOUND = {
    bool: "true or false",
    dict: "a table",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
}
_BOUNDS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"})


class Wrong(NamedTuple):
    """One thing that is wrong: at which key of the table that was looked at, what it is, and what to write instead."""

    keys: KeyPath
    message: str
    instead: str | None


def wrongs(error: ValidationError, model: type[BaseModel], data: object) -> list[Wrong]:
    """Each thing that pydantic found in `data`. Values are not repeated: they may be secrets.

    Keys that are not known come first: one that is misspelt explains why another is missing.
    """
    found = []
    for detail in sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"):
        keys = tuple(str(part) for part in detail["loc"])
        found.append(Wrong(keys, _message(detail, _value_at(data, detail["loc"])), _instead(model, keys)))
    return found


def _message(detail: ErrorDetails, value: object) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_FOUND.get(type(value), 'a date or time')}"
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known"
    if context.get("pattern") == VARIABLE and value:
        return "is not the name of an environment variable; the key itself does not belong here"
    if value == "" or context.get("min_length") == 1 or context.get("pattern") == r"\S":
        return "must not be empty"
    text = detail["msg"].replace("Input should be", "must be")
    return text if kind in _BOUNDS or not _repeats(text, value) else "is not valid"


def _repeats(text: str, value: object) -> bool:
    """Whether a message, which a plugin's own model may have written, holds anything of the value."""
    return any(leaf in text for leaf in _leaves(value))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    elif value != "":
        yield str(value)


def _value_at(data: object, loc: tuple[int | str, ...]) -> object:
    for part in loc:
        try:
            data = data[part]  # type: ignore[index]  # whatever it is: what cannot be looked into ends the walk
        except (KeyError, IndexError, TypeError):
            return data
    return data


def _instead(model: type[BaseModel], keys: KeyPath) -> str | None:
    """The line to write, made of the field's first example or, where it has none, of its default; or the key meant."""
    for depth, key in enumerate(keys):
        field = model.model_fields.get(key)
        if field is None:
            return meant(key, model.model_fields)
        inner = _inner_model(field.annotation)
        if inner is None or depth == len(keys) - 1:
            value = field.examples[0] if field.examples else field.default
            return f"write {key} = {toml(value)}" if isinstance(value, str | int | list | dict) else None
        model = inner
    return None


def meant(key: str, known: Iterable[str]) -> str | None:
    """A question that names the known key nearest to a misspelt one."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.65)
    return f"did you mean `{near[0]}`?" if near else None


def _inner_model(annotation: Any) -> type[BaseModel] | None:  # an annotation may be any object
    choices = getattr(annotation, "__args__", (annotation,))
    return next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)), None)


def toml(value: object) -> str:
    """A value as it is written in TOML, fit to be printed."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def toml_key(key: str) -> str:
    """A key as it is written in TOML: bare where that is allowed, and fit to be printed."""
    if key.isascii() and key.replace("-", "").replace("_", "").isalnum():
        return key
    return _quoted(key)


def _quoted(text: str) -> str:
    return "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def dotted(keys: Iterable[str]) -> str | None:
    """A path of keys as it is written in TOML; None for no key."""
    return ".".join(map(toml_key, keys)) or None
