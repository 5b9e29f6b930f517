"""`keyfob plugin new`: what it writes where, and what it says."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from keyfob.cli.terminal import Terminal
from keyfob.scaffold.files import KINDS

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "keyfob_acme.py"


class Keyboard(StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_writes_a_folder_and_says_what_to_do_next(keyfob, here):
    """The files on stdout; the commands, and what its user writes where, on stderr."""
    found = keyfob("plugin", "new", "acme")
    files = [os.path.relpath(path, here) for path in here.rglob("*") if path.is_file()]
    assert (found.code, sorted(found.out.splitlines())) == (0, sorted(files))
    assert os.path.join("keyfob-acme", MODULE) in files
    for said in ("\n  cd keyfob-acme\n", "--group test\n", "~/codex/keyfob.toml", "\n  [model_providers.corp.acme]\n"):
        assert said in found.err


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_decides_what_is_written_where_it_is_told(keyfob, here, kind):
    """As JSON, too."""
    found = keyfob("plugin", "new", "acme", "--kind", kind, "--into", "a b/c", "--json")
    said = json.loads(found.out)
    assert (said["kind"], said["distribution"], said["folder"]) == (kind, "keyfob-acme", "a b/c")
    assert all((here / "a b" / "c" / path).is_file() for path in said["files"])
    assert found.err == ""


def test_what_is_there_stays(keyfob, here):
    """And nothing is written beside it."""
    (here / "README.md").write_text("mine")
    found = keyfob("plugin", "new", "acme", "--into", ".")
    assert (found.code, os.listdir(here)) == (2, ["README.md"])
    assert "README.md is there already; nothing was written" in found.err
    assert "\n  → keyfob plugin new acme --kind static --into ./keyfob-acme" in found.err


def test_a_folder_that_cannot_be_is_named(keyfob, here):
    """With what the system says of it."""
    found = keyfob("plugin", "new", "acme", "--into", "deep/" + "d" * 300)
    assert (found.code, os.listdir(here)) == (1, [])
    assert "too long; nothing was left of it" in found.err


def test_a_bad_name_writes_nothing(keyfob, here):
    """It is a usage error, with a name that would do."""
    found = keyfob("plugin", "new", "openai")
    assert (found.code, os.listdir(here)) == (2, [])
    assert "→ keyfob plugin new my-openai" in found.err


def test_an_installed_plugin_of_that_name_is_told(keyfob, here, monkeypatch):
    """Only one of the two could be used."""
    metadata = here / "site" / "keyfob_other-2.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: keyfob-other\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text("[keyfob.auth]\nacme = keyfob_other\n")
    monkeypatch.setattr("keyfob.config.places.site_folders", lambda: [str(here / "site")])
    found = keyfob("plugin", "new", "acme")
    assert found.code == 0
    assert "warning: keyfob-other 2.0, which is installed, declares `acme` too" in found.err


@pytest.mark.parametrize(("typed", "kind"), [("\n", "static"), ("0\n9\n 4 \n", "signing"), ("rotating\n", "rotating")])
def test_at_a_terminal_it_asks_for_the_kind(keyfob, here, monkeypatch, typed, kind):
    """A number, a name, or the usual one."""
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    monkeypatch.setattr(Terminal, "attended", True)
    found = keyfob("plugin", "new", "acme")
    assert (found.code, found.err.count("1 to 5 [1] ")) == (0, typed.count("\n"))
    assert f"keyfob-acme is written: {KINDS[kind]}" in found.err


def test_half_of_its_name_is_completed(keyfob):
    """There is no `keyfob plugin` alone."""
    for arguments in (["plugin"], ["plugin", "nwe", "acme"]):
        assert "did you mean `plugin new`?" in keyfob(*arguments).err
