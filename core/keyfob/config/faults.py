"""Faults: what pydantic found, said with file, line, key and what to write instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from keyfob.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

    from keyfob.config.layers import KeyPath, Layer

    Find = Callable[[KeyPath], Layer | None]

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "int_type": "an integer",
    "list_type": "an array",
    "model_type": "a table",
    "string_type": "a string",
}
_WRONG = {
    "missing": "is missing",
    "string_pattern_mismatch": "must not be blank",
    "string_too_short": "must not be empty",
}
_FOUND = {
    bool: "true or false",
    dict: "a table",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
}


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    data: object,
    table: KeyPath,
    find: Find,
    provider: str | None = None,
) -> list[Fault]:
    """One fault for each thing pydantic found in the table at `table`. Values are not repeated: they may be secrets."""
    return [_fault(detail, model, data, table, find, provider) for detail in error.errors(include_url=False)]


def _fault(
    detail: ErrorDetails, model: type[BaseModel], data: object, table: KeyPath, find: Find, provider: str | None
) -> Fault:
    keys = tuple(str(part) for part in detail["loc"])
    layer = find(table + keys) or find(table)
    return Fault(
        message=_message(detail, _value_at(data, detail["loc"])),
        instead=_instead(model, keys),
        path=layer.path or "-c" if layer else None,
        line=layer.line(table + keys) if layer else None,
        provider=provider,
        key=".".join((*table[2 if provider else 0 :], *keys)) or None,
    )


def _message(detail: ErrorDetails, value: object) -> str:
    kind = detail["type"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_FOUND.get(type(value), 'a date or time')}"
    if kind in _WRONG:
        return _WRONG[kind]
    if kind in {"greater_than", "greater_than_equal", "less_than_equal"}:
        return detail["msg"].replace("Input should be", "must be")
    return detail["msg"]


def _value_at(data: object, loc: tuple[int | str, ...]) -> object:
    for part in loc:
        try:
            data = data[part]  # type: ignore[index]  # whatever it is: what cannot be looked into ends the walk
        except (KeyError, IndexError, TypeError):
            return data
    return data


def _instead(model: type[BaseModel], keys: KeyPath) -> str | None:
    """The line to write, made of the field's first example."""
    for depth, key in enumerate(keys):
        field = model.model_fields.get(key)
        if field is None:
            return None
        inner = _inner_model(field.annotation)
        if inner is None or depth == len(keys) - 1:
            return f"write {key} = {toml(field.examples[0])}" if field.examples else None
        model = inner
    return None


def _inner_model(annotation: Any) -> type[BaseModel] | None:  # an annotation may be any object
    choices = getattr(annotation, "__args__", (annotation,))
    return next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)), None)


def toml(value: object) -> str:
    """A value as it is written in TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def toml_key(key: str) -> str:
    """A key as it is written in TOML: bare where that is allowed."""
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)
