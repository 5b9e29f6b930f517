"""The distribution: what its metadata say is what it is."""

from __future__ import annotations

import os
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import keyfob
from keyfob.routing.builtin import MODULES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_that_of_the_package():
    """One place says it."""
    assert metadata.version("keyfob") == keyfob.__version__


def test_each_built_in_plugin_is_packaged():
    """The wheel has every module that the table of built-ins names, and no other; each is typed."""
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {os.path.basename(package) for package in packages} == {
        "keyfob",
        *(module.split(".")[0] for module in MODULES.values()),
    }
    for package in packages:
        assert (ROOT / package / "py.typed").is_file()
        assert (ROOT / package / "__init__.py").is_file()


def test_type_checkers_look_at_each_plugin():
    """mypy's path lists their folders, as the wheel does their packages."""
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(PROJECT["tool"]["mypy"]["mypy_path"]) == sorted(map(os.path.dirname, packages))


def test_keyfob_declares_no_entry_points_of_its_own_kind():
    """The built-ins are an explicit table; a stale install can add nothing to it."""
    groups = {entry.group for entry in metadata.distribution("keyfob").entry_points}
    assert groups == {"console_scripts"}


def test_it_depends_on_no_more_than_it_says():
    """pluggy, httpx, pydantic, tomli, keyring; what httpx and keyring themselves need and is called directly; where a
    system alone knows its certificates, what asks it; packaging, by which versions and requirements are compared."""
    required = [re.split(r"[^\w-]", line, maxsplit=1)[0] for line in PROJECT["project"]["dependencies"]]
    below = {"anyio", "certifi", "idna", "secretstorage"}
    assert set(required) == {"httpx", "keyring", "packaging", "pluggy", "pydantic", "tomli", "truststore"} | below


MODULES_OF_OURS = sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])


@pytest.mark.parametrize("path", MODULES_OF_OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    """Its first line is a sentence."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert re.fullmatch(r'"""\S.*', first)
