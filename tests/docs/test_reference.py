"""The reference is complete and right: every key, command, option, error code and exit code."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import pkgutil
import re
from typing import TYPE_CHECKING, Any

import pytest
import tomli
from pydantic import BaseModel

import keyfob.plugin
from keyfob import cli, errors, standing
from keyfob.cli.commands import COMMANDS, command_named, parser_of
from keyfob.config.faults import toml
from keyfob.config.models import CommandTable, KeyfobFile, KeyfobTable, ProviderEntry, Requirements
from keyfob_oauth.options import Options as OAuthTable

from .pages import ROOT, rows, section, text_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

KEYS = [
    ("configuration.md", heading, name, field)
    for model, heading in {
        KeyfobFile: "## Top-level keys",
        ProviderEntry: "## A provider: `[model_providers.<id>]`",
        CommandTable: "### A command that prints the token",
        KeyfobTable: "## keyfob's own table",
        Requirements: "## What an administrator requires",
    }.items()
    for name, field in model.model_fields.items()
] + [
    ("oauth.md", "## All keys", name, field)
    for name, field in OAuthTable.model_fields.items()
    if name != "client_secret"
]
# A default that is not in the model.
BY_OURSELVES = {"name": "the id"}
NONE = "\N{EN DASH}"
GENERAL = ("-c", "--config", "-p", "--profile", "-h", "--help", "--version")


@pytest.mark.parametrize(
    ("page", "heading", "name", "field"), KEYS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_key_is_documented_with_its_default(page: str, heading: str, name: str, field: FieldInfo) -> None:
    """A row of the section's tables: key, type, default, example, meaning."""
    found = [row for row in rows(section(page, heading)) if row[0] == f"`{name}`"]
    assert len(found) == 1, f"{name} has {len(found)} rows below {heading!r}"
    _, kind, default, example, meaning = found[0]
    assert default.strip("`") == BY_OURSELVES.get(name, _default(field))
    assert kind
    assert example
    assert meaning


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.is_required():
        return "required"
    if isinstance(value, BaseModel) or value == {}:
        return "{}"
    return NONE if value is None else toml(value)


def _codes(kind: type[errors.KeyfobError]) -> set[type[errors.KeyfobError]]:
    """A class and all below it, as far as they are defined in keyfob."""
    return {kind}.union(*map(_codes, kind.__subclasses__()))


for _module in pkgutil.iter_modules(cli.__path__):  # some commands have errors of their own
    importlib.import_module(f"keyfob.cli.{_module.name}")
ERRORS = {kind.code: kind for kind in _codes(errors.KeyfobError) if kind is not errors.KeyfobError}


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_code_is_documented_with_its_exit_code(code: str) -> None:
    """A section that begins with the exit code, and says what to do."""
    text = section("errors.md", f"### `{code}`")
    assert text.strip().startswith(f"Exit {ERRORS[code].exit_code}.")
    assert "*Do:*" in text or "| do |" in text


def test_no_error_code_is_documented_that_there_is_not() -> None:
    """What was removed is removed from the page."""
    assert set(re.findall(r"^### `([\w-]+)`$", text_of("errors.md"), re.MULTILINE)) == set(ERRORS)


def test_each_state_of_a_login_is_documented() -> None:
    """With what it means and what to do; and none that there is not."""
    found = {row[0].strip("`"): row[1:] for row in rows(section("logins.md", "## What status says"))[1:]}
    assert set(found) == {value for name, value in vars(standing).items() if name.isupper() and isinstance(value, str)}
    assert all(all(cells) for cells in found.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_documented_with_each_of_its_options(command: str) -> None:
    """A section of its own, which names every argument."""
    text = section("commands.md", f"## `keyfob {command}`")
    for argument in parser_of(command, command_named(command)).words:
        for name in argument.option_strings or argument.choices or [str(argument.metavar)]:
            if name not in GENERAL and argument.help != argparse.SUPPRESS:
                assert re.search(rf"`{re.escape(name)}[` ]", text), f"keyfob {command}: {name}"


def test_no_option_is_documented_that_there_is_not() -> None:
    """What was removed is removed from the page."""
    for command in COMMANDS:
        table = " ".join(row[0] for row in rows(section("commands.md", f"## `keyfob {command}`")))
        known = parser_of(command, command_named(command)).format_help()
        for name in re.findall(r"`(--?[a-zA-Z-]+)", table):
            assert name in known, f"keyfob {command}: {name}"


def test_the_general_options_and_exit_codes_are_documented() -> None:
    """Once for all commands."""
    general = section("commands.md", "## General options")
    for name in GENERAL:
        assert f"`{name}" in general
    documented = {row[0] for row in rows(section("errors.md", "## Exit codes"))[1:]}
    assert documented == {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}


def test_the_reference_for_plugins_is_what_the_code_says() -> None:
    """Every hook, every name of keyfob.plugin and every rule of the contract kit; scripts/reference writes it."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == text_of("plugin-reference.md"), "run scripts/reference"
    named = set(re.findall(r"^### `(\w+)`|^\| `(\w+)`", text_of("plugin-reference.md"), re.MULTILINE))
    assert {*keyfob.plugin.__all__} <= {name for pair in named for name in pair}


def test_each_page_is_in_the_navigation() -> None:
    """A page that nobody can find is not there."""
    navigation = json.dumps(tomli.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])
    for page in (ROOT / "docs").glob("*.md"):
        assert f'"{page.name}"' in navigation
