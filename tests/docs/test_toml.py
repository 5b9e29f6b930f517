"""Every TOML block of the documentation is valid, and what is configuration is accepted by the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tomli

from keyfob import Host, host
from keyfob.config.places import Places

from .pages import Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.errors import Fault

CONFIGURATION = ("config.toml", "keyfob.toml")
POLICY = ("managed_config.toml", "requirements.toml")
PACKAGE = "pyproject.toml"


def name_of(block: Block) -> str:
    """The name of the file that a block is."""
    return str(block.title).rpartition("/")[2]


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_toml_block_says_which_file_it_is_and_is_valid(block: Block) -> None:
    """A reader knows where to write it."""
    assert name_of(block) in (*CONFIGURATION, *POLICY, PACKAGE)
    tomli.loads(block.text)


@pytest.mark.parametrize("block", [block for block in blocks("toml") if name_of(block) in CONFIGURATION], ids=str)
def test_configuration_is_accepted_without_a_warning(block: Block, tmp_path: Path) -> None:
    """Every provider of it is a sound entry, and no key of it is unknown."""
    warnings: list[Fault] = []
    (tmp_path / name_of(block)).write_text(block.text, "utf-8")
    made = Host({}, places=Places(str(tmp_path), system=str(tmp_path / "s"), cache=str(tmp_path)), warn=warnings.append)
    for name in made.configuration.user_ids:
        assert made.provider(name).entry.id == name
    assert made.default_id
    assert made.configuration.allowed_plugins is not None
    assert not warnings


@pytest.mark.parametrize("block", [block for block in blocks("toml") if ".oauth]" in block.text], ids=str)
def test_a_table_of_an_oauth_server_can_be_signed_in_to(block: Block, tmp_path: Path) -> None:
    """Its options are those that the plugin takes."""
    (tmp_path / str(block.title)).write_text(block.text, "utf-8")
    made = Host({}, places=Places(str(tmp_path), system=str(tmp_path / "s"), cache=str(tmp_path)))
    provider = made.provider("corp")
    assert provider.route.plugin == "oauth"
    assert provider.options


@pytest.mark.parametrize("block", [block for block in blocks("toml") if block.title in POLICY], ids=str)
def test_a_policy_is_made_of_rules_that_are_known(block: Block, tmp_path: Path) -> None:
    """Each key of it is a rule in force."""
    (tmp_path / str(block.title)).write_text(block.text, "utf-8")
    made = Host({}, places=Places(str(tmp_path), system=str(tmp_path), cache=str(tmp_path)))
    assert sorted(rule.key for rule in made.configuration.policy.rules) == sorted(tomli.loads(block.text))


def test_both_halves_of_an_entry_make_one(tmp_path: Path) -> None:
    """The page about Codex and a proxy: the half in keyfob.toml is what keyfob goes by."""
    halves = {block.title: block.text for block in blocks("toml", "codex-proxy.md")}  # the last of each
    for name, text in halves.items():
        (tmp_path / str(name)).write_text(text, "utf-8")
    made = Host({}, places=Places(str(tmp_path), system=str(tmp_path / "s"), cache=str(tmp_path)))
    claims = {claim.key: claim.ignored for claim in made.provider("corp").explain().claims}
    assert claims["env_key"] is None
    assert claims["auth"]


def test_the_provider_that_is_shipped_is_there(site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page about plugins: what pyproject.toml declares is what its module has."""
    for block in blocks("python", "write-a-plugin.md"):
        (site_folder / str(block.title)).write_text(block.text, "utf-8")
    _install(site_folder)
    monkeypatch.setattr(host, "site_folders", lambda: [str(site_folder)])
    home = site_folder.parent
    made = Host({"ACME_EU_KEY": "k"}, places=Places(str(home), system=str(home / "s"), cache=str(home)))
    assert made.provider("acme-eu").base_url.origin.host == "eu.llm.example.com"
    assert dict(made.provider("acme-eu").headers()) == {"Authorization": "Bearer k"}


def _install(folder: Path) -> None:
    """Write the metadata that an installer would make of the page's pyproject.toml."""
    info = folder / "keyfob_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keyfob-acme\nVersion: 0.1.0\n")
    groups: dict[str, dict[str, str]] = {}
    for block in blocks("toml", "write-a-plugin.md"):
        if block.title == PACKAGE:
            groups |= tomli.loads(block.text)["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in names.items())
        for group, names in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
