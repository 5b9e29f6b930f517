"""The JSON Schema of both files, and what editors can check with it."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, Field

from keyfob.config.models import CommandTable, KeyfobFile, KeyfobTable, ProviderEntry
from keyfob.config.schema import schema, table_schema


class Inner(BaseModel):
    """A table in a plugin's table."""

    realm: str


class Options(BaseModel):
    """A plugin's table."""

    key_env: str = Field(description="The variable.", examples=["KEY"])
    inner: Inner | None = None
    more: list[Inner] = []


class Tables:
    """The plugins at hand."""

    def __init__(self, tables, broken=()):
        self._found = tables, broken

    def schemas(self):
        """As the contract says."""
        return self._found


@pytest.fixture
def plain():
    """The schema without any plugin."""
    return schema(Tables({}))


def resolve(whole, reference):
    """What a `$ref` of the schema points at."""
    for part in reference.removeprefix("#/").split("/"):
        whole = whole[part]
    return whole


def references(node):
    """Every `$ref` of a schema."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from references(inner)


def test_it_names_its_dialect_and_is_json(plain):
    """2020-12, which editors look for; it holds nothing that JSON does not."""
    assert plain["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(plain)) == plain
    assert "$comment" not in plain


@pytest.mark.parametrize("model", [KeyfobFile, ProviderEntry, CommandTable, KeyfobTable])
def test_each_key_is_described(plain, model):
    """What an editor shows where a key is completed."""
    properties = (plain if model is KeyfobFile else plain["$defs"][model.__name__])["properties"]
    assert set(properties) == set(model.model_fields)
    for name, one in properties.items():
        assert one["description"], name


def test_what_toml_cannot_say_is_left_out(plain):
    """There is no null."""
    assert "null" not in json.dumps(plain)
    assert plain["$defs"]["ProviderEntry"]["properties"]["auth"]["$ref"] == "#/$defs/CommandTable"
    assert plain["$defs"]["ProviderEntry"]["properties"]["base_url"]["type"] == "string"


def test_unknown_keys_are_marked_where_keyfob_knows_all(plain):
    """The top level of config.toml is Codex's; in an entry an unknown key is a slip or lacks its plugin."""
    assert plain.get("additionalProperties", True) is True
    for name in ("ProviderEntry", "CommandTable", "KeyfobTable"):
        assert plain["$defs"][name]["additionalProperties"] is False


def test_built_in_ids_are_marked(plain):
    """They cannot be redefined."""
    names = plain["properties"]["model_providers"]["propertyNames"]
    assert names == {"not": {"enum": ["lmstudio", "ollama", "openai"]}}


@pytest.mark.parametrize("key", ["hmac", "with space/~", "Inner", "ProviderEntry"])
def test_a_plugins_table_is_completed_too(key):
    """With its own tables in it, wherever its key leads."""
    whole = schema(Tables({key: table_schema(Options, key)}))
    table = resolve(whole, whole["$defs"]["ProviderEntry"]["properties"][key]["$ref"])
    assert table["properties"]["key_env"] == {
        "description": "The variable.", "examples": ["KEY"], "title": "Key Env", "type": "string",
    }  # fmt: skip
    assert table["required"] == ["key_env"]
    assert resolve(whole, table["properties"]["inner"]["$ref"])["required"] == ["realm"]
    for reference in references(whole):
        assert resolve(whole, reference)
    assert set(whole["$defs"]["ProviderEntry"]["properties"]) == {*ProviderEntry.model_fields, key}


def test_a_plugin_that_is_left_out_is_named():
    """In the document itself, for the editor works on without it."""
    assert "acme 1.0: broken" in schema(Tables({}, [ValueError("acme 1.0: broken")]))["$comment"]


def test_a_validator_agrees(plain):
    """Where the `jsonschema` package is there: what keyfob takes is valid, what it refuses is not."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return
    Draft202012Validator.check_schema(plain)
    validator = Draft202012Validator(plain)
    entry = {"base_url": "https://x", "auth": {"command": "a", "args": ["b"]}, "http_headers": {"A": "b"}}
    assert validator.is_valid({"model_providers": {"x": entry}, "anything": {"of": "Codex's"}})
    for wrong in ({"env_key": 5}, {"env_keys": "A"}, {"hmac": {}}, {"auth": {}}, {"auth": {"command": " "}}):
        assert not validator.is_valid({"model_providers": {"x": wrong}})
    assert not validator.is_valid({"model_providers": {"openai": {}}})
