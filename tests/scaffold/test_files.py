"""The files of a new plugin."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyfob.scaffold.files import KINDS, entry_of, files_of, write

if TYPE_CHECKING:
    from ..homes import Home, Site  # noqa: TID252

ROOT = Path(__file__).parents[2]
# A key with an underscore and one with a hyphen, Python's own word, one letter, and as many as there may be.
NAMES = dict(zip(KINDS, ("my_llm", "my-llm", "true", "x", "n" * 40), strict=True))
of_each_kind = pytest.mark.parametrize("kind", KINDS)


@of_each_kind
def test_its_entry_goes_to_it(kind: str, home: Home, site: Site) -> None:
    """The configuration that is shown leads to the module that is written, under the key that is declared."""
    name, files = NAMES[kind], files_of(NAMES[kind], kind)
    project = tomllib.loads(files["pyproject.toml"])
    ((group, declared),) = project["project"]["entry-points"].items()
    module = declared[name]
    site.install(project["project"]["name"], files[f"{module}.py"], key=name, group=group, module=module)
    home.write(entry_of(name, kind), "keyfob.toml")
    provider = home.host().provider(name if kind == "provider" else "corp")
    try:
        assert provider.route.plugin == ("envkey" if kind == "provider" else name)
        assert provider.options
        assert str(provider.base_url) == "https://llm.example.com/v1"
        assert home.warned == []
    finally:
        sys.modules.pop(module)


@pytest.mark.slow
def test_the_files_are_tidy(tmp_path: Path) -> None:
    """By the rules that they bring along, whatever the name is."""
    pytest.importorskip("ruff", reason="ruff is not installed: it is in the group `check`")
    for kind, name in NAMES.items():
        write(str(tmp_path / kind), files_of(name, kind))
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


@of_each_kind
def test_nothing_is_left_to_be_filled_in(kind: str) -> None:
    """No placeholder, and no path of one; the tests of the contract are there."""
    files = files_of(NAMES[kind], kind)
    assert not [path for path in files if "NAME" in path or path.startswith("parts")]
    assert "tests/test_contract.py" in files
    for text in files.values():
        assert not re.search(r"TODO|\$(?!\{\{|\")", text)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_it_is_tested_on_the_pythons_that_keyfob_supports() -> None:
    """All of them, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    supported = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    listed = ", ".join(f'"{each}"' for each in supported)
    assert f"python: [{listed}]" in files_of("acme", "static")[".github/workflows/ci.yml"]
    assert tomllib.loads(files_of("acme", "static")["pyproject.toml"])["project"]["requires-python"] == ">=3.11"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one of the files is there, none is written, and that one stays."""
    mine = tmp_path / "new" / "tests" / "test_contract.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(FileExistsError) as raised:
        write(str(tmp_path / "new"), files_of("acme", "static"))
    assert raised.value.filename == str(mine)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    """The folders that were made for it are gone too; what else was there stays."""
    (tmp_path / "other").write_text("")
    with pytest.raises(OSError, match="long"):
        write(str(tmp_path / "deep" / "new"), {"a/b.py": "", "c.py": "", "d" * 300: ""})
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_it_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    """Such as one that git has made; what is in it stays."""
    (tmp_path / ".git").mkdir()
    files = files_of("acme", "static")
    write(str(tmp_path), files)
    assert {path.name for path in tmp_path.iterdir()} == {".git", *(path.partition("/")[0] for path in files)}
