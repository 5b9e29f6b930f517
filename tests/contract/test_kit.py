"""The contract kit itself: for each rule there is a plugin that breaks it and no other, and the kit says which."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.testing.contract import Contract, racer, rules, storing

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.testing.contract import Grant, NastyIssuer

RULES = tuple(rules())
BROKEN = "keyfob.testing.broken"
ALONE = {"declared": "forgotten", "import-is-light": "heavy", "import-is-silent": "noisy"}


class Kept(Contract):
    """A plugin that asks no issuer."""

    key = "kept"
    options: Any = {}
    environ: Any = {"BROKEN_KEY": "canary-of-the-environment"}


class Asking(Kept):
    """One that asks an issuer."""

    def entry(self, issuer: NastyIssuer) -> dict[str, Any]:
        return {self.key: {"token_url": issuer.token_url}}


class Storing(Asking):
    """One whose logins are stored."""

    environ: Any = {}

    def login(self, issuer: NastyIssuer, grant: Grant) -> dict[str, Any]:
        return {"access": grant.token, "refresh": grant.refresh_token, "expires_at": time.time() + grant.expires_in}


def contract_of(rule: str) -> type[Contract]:
    """The contract of the plugin that breaks this rule."""
    base, module = {
        "Issuing": (Asking, "minting"),
        "Storing": (Storing, "rotating"),
    }.get(_family(rule), (Kept, "static"))
    return type("Broken", (base,), {"key": rule, "module": f"{BROKEN}.{ALONE.get(rule, module)}", "declares": RULES})


def _family(rule: str) -> str:
    name = f"test_{rule.replace('-', '_')}"
    return next(base.__name__ for base in Contract.__mro__ if name in vars(base))


def verdicts(contract: type[Contract], folder: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What the kit says of each rule: the error of one that is broken."""
    kit, found = contract(), {}
    for number, rule in enumerate(rules()):
        test = getattr(kit, f"test_{rule.replace('-', '_')}")
        if test is not None:
            (folder / str(number)).mkdir()
            trial = contract.trial.__wrapped__(kit, folder / str(number))
            found[rule] = _verdict(test, next(trial), kit, capfd)
            next(trial, None)
    return found


def _verdict(test: Any, trial: Any, kit: Contract, capfd: pytest.CaptureFixture[str]) -> str:
    fixtures = {"trial": trial, "optional": kit.optional, "capfd": capfd}
    try:
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_the_plugin_that_breaks_it_and_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], rule: str
) -> None:
    """By its name; every other rule is content with that plugin."""
    said = {name: error for name, error in verdicts(contract_of(rule), tmp_path, capfd).items() if error}
    assert list(said) == [rule], said
    assert said[rule].startswith(f"rule {rule}: ")


AUTHORS = """
from keyfob.testing.contract import Contract

class TestMine(Contract):
    key = "requests-are-authenticated"
    environ = {"BROKEN_KEY": "canary-of-the-environment"}
    module = "keyfob.testing.broken.static"
"""


def test_where_there_is_no_plugin_one_rule_says_so() -> None:
    """All others would say the same; a class that is derived from such a one and names a plugin has them again."""
    nobody = type("Nobody", (Kept,), {"key": "nobody-declares-this"})
    there = type("There", (nobody,), {"key": "declared", "module": f"{BROKEN}.forgotten"})
    assert _rules_of(nobody) == {"declared"}
    assert {"declared", "open-does-no-io", "missing-variables-are-named"} <= _rules_of(there)


def _rules_of(contract: type[Contract]) -> set[str]:
    return {rule for rule in RULES if getattr(contract, f"test_{rule.replace('-', '_')}") is not None}


@pytest.mark.slow
def test_an_author_reads_which_rule_is_broken(tmp_path: Path) -> None:
    """In pytest's own summary, from three lines; the rules that are not about such a plugin are not there at all."""
    (tmp_path / "test_mine.py").write_text(AUTHORS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "authenticated or once or silent"]
    environ = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert "rule requests-are-authenticated: the request arrives without a header" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "canary" not in done.stdout


@pytest.mark.slow
def test_processes_that_race_are_never_left_behind(monkeypatch, tmp_path):
    """Whoever hangs before it is ready is killed, and all are waited for, so that the rule fails instead of hanging."""
    started = []
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time; time.sleep(60)")
    make = subprocess.Popen
    monkeypatch.setattr(racer, "__file__", str(hanging))
    monkeypatch.setattr(storing, "_LIMIT", 0.1)
    monkeypatch.setattr(
        subprocess, "Popen", lambda *given, **options: started.append(make(*given, **options)) or started[-1]
    )
    with pytest.raises(AssertionError, match="got no credential"):
        storing._raced(SimpleNamespace(folder=str(tmp_path), specification=dict))
    assert [each.returncode is not None and each.stderr.closed for each in started] == [True] * 4
