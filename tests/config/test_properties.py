"""Whatever the files say, the loader gives a result or a ConfigError that repeats none of their values."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyfob.config.builtin import FIXED
from keyfob.config.models import ProviderEntry
from keyfob.errors import KeyfobError, UsageError

from ..homes import Home  # noqa: TID252

pytestmark = pytest.mark.slow

CANARY = "canary-7d1f"

ours = st.sampled_from([*ProviderEntry.model_fields, "command", "args", "hmac", "aws", "x"])
keys = ours | st.text(max_size=5)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.text(max_size=8).map(lambda text: f"{CANARY}{text}")
    | st.sampled_from(["", " ", "https://x.example/v1", f"http://{CANARY}@x", f"https://x/?{CANARY}", "keyfob"])
)


def tables_of(inner):
    """Tables with keys of ours among others."""
    return st.dictionaries(keys, inner, max_size=4)


values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | tables_of(inner), max_leaves=6)
ids = st.sampled_from(["x", "y", "a.b", "", *sorted(FIXED)]) | keys
providers = st.dictionaries(ids, values | tables_of(values), max_size=4)
documents = st.fixed_dictionaries(
    {},
    optional={
        "model_provider": scalars | st.just("x"),
        "model_providers": providers | values,
        "openai_base_url": scalars,
        "keyfob": st.fixed_dictionaries({}, optional={"allow_plugins": values}) | values,
        "profile": scalars,
        "other": values,
    },
)


def toml(value):
    """A value as TOML; tables inline."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml_string(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return toml_string(value)
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case _:
            return value.isoformat()


def toml_string(text):
    """A string that any TOML parser takes."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def document(table):
    """A whole file."""
    return "".join(f"{key} = {toml(value)}\n" for key, value in table.items())


def looked_at(host):
    """The texts of all that a host says about every provider there is."""
    told = []

    def part(read):
        try:
            return read()
        except KeyfobError as error:
            told.append(f"{error} {error.hint}")
            return None

    part(lambda: host.default_id)
    part(lambda: host.plugins)
    for provider in map(host.provider, [*(part(lambda: host.ids) or ()), "x", "unknown"]):
        for name in ("entry", "route", "options", "base_url", "source"):
            part(lambda provider=provider, name=name: getattr(provider, name))
        told.append(repr(part(provider.state)))
        told.append(repr(part(lambda provider=provider: provider.entry)))
    return told


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents, documents, documents)
def test_any_toml_gives_a_result_or_a_config_error(config, keyfob, managed):
    """Of whatever shape, in three files at once; and no value of them shows."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.write(document(config))
        home.write(document(keyfob), "keyfob.toml")
        (home.system / "managed_config.toml").write_text(document(managed), encoding="utf-8")
        told = looked_at(home.host())
    assert CANARY not in " ".join([*told, *map(str, home.warned)])


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60) | texts.map(str.encode), texts)
def test_any_bytes_give_a_result_or_a_config_error(data, dotenv):
    """As config.toml, beside any `.env`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        (home.folder / "config.toml").write_bytes(data)
        home.write(dotenv, ".env")
        looked_at(home.host())


@settings(max_examples=60, deadline=None)
@given(st.lists(texts | st.tuples(keys, texts).map("=".join), max_size=3))
def test_any_override_gives_a_result_or_an_error(overrides):
    """A UsageError where it is no KEY=VALUE."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            looked_at(Home(Path(folder)).host(overrides=overrides))
        except UsageError:
            assert any("=" not in text or not text.partition("=")[0].strip() for text in overrides)
