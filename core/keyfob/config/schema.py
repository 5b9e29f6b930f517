"""The JSON Schema of `config.toml` and `keyfob.toml`, for editors that complete and check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from keyfob.config.builtin import FIXED
from keyfob.config.faults import toml_key
from keyfob.config.models import KeyfobFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Where keyfob knows every key, one that it does not know is a slip. The top level of config.toml is Codex's.
_CLOSED = ("ProviderEntry", "CommandTable", "KeyfobTable")


class Tables(Protocol):
    """The plugins at hand, which know what tables they read."""

    def schemas(self) -> tuple[Mapping[str, Any], Sequence[Exception]]:
        """What `table_schema` made of each plugin's options, by key; and why some could not be had."""
        ...


def schema(plugins: Tables) -> dict[str, Any]:
    """The schema of both files with the tables of the installed plugins; `$comment` says which it lacks, and why."""
    tables, broken = plugins.schemas()
    whole = _without_null(KeyfobFile.model_json_schema())
    models = whole["$defs"]
    for name in _CLOSED:
        models[name]["additionalProperties"] = False
    whole["properties"]["model_providers"]["propertyNames"] = {"not": {"enum": sorted(FIXED)}}
    for key, table in tables.items():
        models[_definition(key)] = table
        models["ProviderEntry"]["properties"][key] = {"$ref": f"#/$defs/{_definition(key)}"}
    lacks = {"$comment": "\n".join(["These plugins are left out:", *map(str, broken)])} if broken else {}
    return {"$schema": DIALECT, **lacks, **whole, "title": "keyfob: config.toml and keyfob.toml"}


def table_schema(model: type[BaseModel], key: str) -> dict[str, Any]:
    """The schema of a plugin's table, to be put into `schema` under that key. Raises what pydantic raises."""
    made = model.model_json_schema(ref_template=f"#/$defs/{_definition(key)}/$defs/{{model}}")
    table: dict[str, Any] = _without_null(made)
    return table


def _definition(key: str) -> str:
    """A name for the table's definition that can stand in a `$ref` as it is, and is no model's of keyfob."""
    return f"table-{key}" if toml_key(key) == key else f"table-{key.encode().hex()}"


def _without_null(schema: Any) -> Any:  # a JSON value
    """TOML has no null: what may be None is left out there."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if value is not None}
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del kept["anyOf"]
        return {**rest[0], **kept} if len(rest) == 1 else {**kept, "anyOf": rest}
    return kept
