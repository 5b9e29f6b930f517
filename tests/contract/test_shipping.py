"""The contract kit for shipped providers: each rule finds the entry that breaks it, and no other does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keyfob.testing.contract.declaring import Declaring
from keyfob.testing.contract.rule import PREFIX, name_of
from keyfob.testing.contract.shipping import Shipped, ShippedContract

from ..homes import PLUGIN  # noqa: TID252
from ..homes import site as site  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path

    from ..homes import Site  # noqa: TID252

MODULE = "keyfob.testing.broken.shipping"
# Those of plugins are tried on plugins.
RULES = [name for name in dir(ShippedContract) if name.startswith(PREFIX) and not hasattr(Declaring, name)]
EXPORTED = {"it-is-ready-with-what-it-takes": {}}


def verdicts(folder: Path, provider: str, module: str | None = MODULE) -> dict[str, str]:
    """What the rules that it breaks say of a provider."""
    trial = Shipped(str(folder), provider, EXPORTED.get(provider, {"BROKEN_KEY": "canary-of-the-environment"}), module)
    found = {}
    for name in RULES:
        try:
            getattr(ShippedContract(), name)(trial=trial)
        except AssertionError as error:
            found[name_of(name)] = str(error)
    return found


@pytest.mark.parametrize("rule", [name_of(name) for name in RULES])
def test_each_rule_finds_the_entry_that_breaks_it_and_no_other(tmp_path: Path, rule: str) -> None:
    """By its name."""
    said = verdicts(tmp_path, rule)
    assert list(said) == [rule], said
    assert said[rule].startswith(f"rule {rule}: ")


def test_what_sounds_secret_in_headers_and_query_is_named(tmp_path: Path) -> None:
    """As where a user's entry decides about it, and nothing beside it."""
    said = verdicts(tmp_path, "it-ships-no-secret")["it-ships-no-secret"]
    assert said.endswith("the value of what sounds like a secret: token, x-goog-api-key")


def test_a_sound_entry_keeps_them_all(tmp_path: Path) -> None:
    """With the variable that it takes."""
    assert verdicts(tmp_path, "sound") == {}


def test_the_issuer_of_an_entry_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a real one. That the entry would ask it says that nothing else is missing."""
    monkeypatch.setattr("keyfob.clients.issuer.send", lambda *_: pytest.fail("the issuer was asked"))
    assert verdicts(tmp_path, "that-asks-an-issuer") == {}


def test_one_that_needs_a_plugin_which_is_not_there_is_told(tmp_path: Path) -> None:
    """Whoever ships the entry has to depend on the plugin, too."""
    told = verdicts(tmp_path, "for-a-plugin-that-is-not-there")["shipped"]
    assert "no installed plugin handles `nobody-declares-this`" in told


def test_one_that_nobody_ships_is_told(tmp_path: Path) -> None:
    """With the group that it would be declared in."""
    assert (
        "no installed distribution declares `nowhere` in the group keyfob.providers"
        in (verdicts(tmp_path, "nowhere", module=None)["shipped"])
    )


def test_an_entry_that_nobody_declares_is_told(tmp_path: Path, site: Site) -> None:
    """It is in the module, and its id is no entry point: no user could name it."""
    two = PLUGIN.replace('return {"%KEY%"', 'return {"corp-us": {}, "%KEY%"')
    metadata = site.install("acme", two, key="corp", group="keyfob.providers")
    assert "its module ships corp-us too, which nobody declares" in verdicts(tmp_path, "corp", None)["shipped"]
    site.declare(metadata, "[keyfob.providers]\ncorp = kf_acme\ncorp-us = kf_acme\n")
    assert "shipped" not in verdicts(tmp_path, "corp", None)
