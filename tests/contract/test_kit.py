"""The contract kit itself: for each rule there is a plugin that breaks it and no other, and the kit says which."""

from __future__ import annotations

import hmac
import inspect
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.errors import PluginError
from keyfob.plugin import Credential
from keyfob.testing.broken import static
from keyfob.testing.broken.parts import value_of
from keyfob.testing.contract import Contract, opening, racer, rules, storing
from keyfob.testing.contract.rule import rule as a_rule
from keyfob.testing.contract.trial import Trial

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


@pytest.mark.slow
def test_a_secret_in_a_variable_that_the_plugin_sets_is_found(tmp_path, capfd, monkeypatch):
    """The first time and each time after: that it holds the same already is no excuse."""

    def headers(_: Any, options: Any, context: Any) -> dict[str, str]:
        os.environ["KF_KEPT"] = value_of(options, context)
        return {"X-Key": os.environ["KF_KEPT"]}

    monkeypatch.setenv("KF_KEPT", "canary-of-the-environment")
    monkeypatch.setattr(static.WrongHeader, "headers", headers)
    said = verdicts(contract_of("requests-are-authenticated"), tmp_path, capfd)
    assert "a variable of the environment that it sets shows a secret" in said["its-credential-goes-nowhere-else"]
    assert said["peek-does-no-io"].endswith("peek() does I/O: os.putenv")


@pytest.mark.slow
def test_what_is_printed_while_a_request_is_signed_is_read(tmp_path, capfd, monkeypatch):
    """A signing plugin has its secret in hand then."""

    def signature(_: Any, request: Any, secret: bytes) -> str:
        print(secret)  # that is its fault
        return hmac.new(secret, f"{request}".encode() + request.body, "sha256").hexdigest()

    monkeypatch.setattr(static.SignsAnything, "signature", signature)
    said = verdicts(contract_of("signatures-are-of-their-request"), tmp_path, capfd)
    assert "what it prints shows a secret" in said["no-log-shows-a-secret"]


def test_where_there_is_no_plugin_one_rule_says_so() -> None:
    """All others would say the same; a class that is derived from such a one and names a plugin has them again."""
    nobody = type("Nobody", (Kept,), {"key": "nobody-declares-this"})
    there = type("There", (nobody,), {"key": "declared", "module": f"{BROKEN}.forgotten"})
    assert _rules_of(nobody) == {"declared"}
    assert {"declared", "open-does-no-io", "missing-variables-are-named"} <= _rules_of(there)


def test_a_plugin_that_is_not_there_breaks_its_rule_where_it_would_store_logins(tmp_path, capfd):
    """And not what the rules need before they begin."""
    nobody = type("Nobody", (Storing,), {"key": "nobody-declares-this"})
    said = verdicts(nobody, tmp_path, capfd)
    assert list(said) == ["declared"]
    assert said["declared"].startswith("rule declared: PluginError: no installed plugin handles `nobody-declares-this`")


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


PROBED = """
import sys
sys.path.insert(0, {folder!r})
from keyfob.testing.contract.probe import main
main("kf_probed", {found!r})
"""
SETS_AND_SLEEPS = """
import os, time
os.environ["KF_PROBED"] = "1"
os.environ.pop("KF_GONE", None)
time.sleep(0)
"""


@pytest.mark.slow
def test_an_import_that_sets_variables_or_sleeps_is_noticed(tmp_path: Path) -> None:
    """Also one that finds them as it sets them: the tests have imported the module before, in the parent process."""
    (tmp_path / "kf_probed.py").write_text(SETS_AND_SLEEPS)
    code = PROBED.format(folder=str(tmp_path), found=str(tmp_path / "found.json"))
    environ = {**os.environ, "KF_PROBED": "1", "KF_GONE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["environ"], found["did"], found["threads"]) == (["KF_GONE", "KF_PROBED"], ["time.sleep"], [])


IDLE = SimpleNamespace(issuer=SimpleNamespace(asked=[]), folder="nowhere")


def test_who_sleeps_where_nothing_may_take_time_is_told() -> None:
    """Not every Python has an audit event for it."""
    with pytest.raises(AssertionError, match=r"^peek\(\) does I/O: time\.sleep$"):
        opening._idle(IDLE, "peek()", lambda: time.sleep(0))


def test_an_error_of_keyfobs_says_what_is_wrong() -> None:
    """Its text holds no secret, unlike that of any other."""

    def state() -> None:
        raise PluginError("state() of plugin `x` returned no State")

    with pytest.raises(PluginError, match="returned no State"):
        opening._idle(IDLE, "state()", state)


def test_where_a_plugin_breaks_is_told_and_not_what_it_says() -> None:
    """Its text is whoever raised it's, and could hold anything."""

    theirs: dict[str, Any] = {"__name__": "theirs"}
    exec(compile("def test_some(trial):\n    int('canary')", "theirs.py", "exec"), theirs)
    with pytest.raises(AssertionError) as caught:
        a_rule()(theirs["test_some"])(trial=None)
    assert str(caught.value) == "rule some: it broke: ValueError at theirs.py:2"


@pytest.mark.parametrize(
    ("lifetime", "expires_in", "why"),
    [
        (None, 3600, ""),
        (None, None, "the issuer says that the token is good for an hour; expires_at is None"),
        (None, 90, "a token that is good for 3600 s is said to be good for 90 s"),
        (90, 90, ""),
        (90, None, ""),
        (90, 3600, "a token that is good for 90 s is said to be good for 3600 s"),
        (float("inf"), None, ""),
        (float("inf"), 3600, "a token that is good for inf s is said to be good for 3600 s"),
    ],
)
def test_how_long_a_token_is_good_is_the_tests_to_say_where_no_issuer_does(lifetime, expires_in, why, monkeypatch):
    """By `expires_at`, or by `max_age` of the plugin."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    credential = Credential({}, expires_at=None if expires_in is None else 1000.0 + expires_in)
    provider = SimpleNamespace(credential=lambda: credential)
    trial = SimpleNamespace(sets_out=lambda: None, provider=lambda: provider, lifetime=lifetime)
    told = pytest.raises(AssertionError, match=f"^rule expiry-is-in-epoch-seconds: {why}") if why else nullcontext()
    with told:
        Contract().test_expiry_is_in_epoch_seconds(trial=trial)


@pytest.mark.parametrize(("lifetime", "middle"), [(None, 120.0), (90, 72.0), (float("inf"), 120.0)])
def test_a_401_is_tried_before_the_token_ends(tmp_path, lifetime, middle):
    """Then it is for the 401 alone that another is fetched."""
    trial = Trial(str(tmp_path), "x", issuer=SimpleNamespace(), entry={}, environ={}, lifetime=lifetime)
    assert trial.middle_of_life == middle
