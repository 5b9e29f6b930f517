"""The quick answer of `keyfob token` for an OAuth login in a file: the whole command's, or none."""

from __future__ import annotations

import json
import os

import pytest

from keyfob import Host
from keyfob.cli.warm import token
from keyfob.credentials.journal import Intent, Journal
from keyfob.credentials.timing import OWN_WINDOW
from keyfob_oauth.login import NEEDED, TEXTS, configuration, made_with
from keyfob_oauth.options import Options
from keyfob_openai import warm

NOW = 1_800_000_000.0
TABLE = {"issuer": "https://sso.test", "client_id": "keyfob", "scopes": ["openid", "api"]}
CONFIG = """
[model_providers.corp]
base_url = "https://llm.test/v1"
[model_providers.corp.oauth]
issuer = "https://sso.test"
client_id = "keyfob"
scopes = ["openid", "api"]
"""


def login(**fields):
    """A login with nothing to be done, but for these fields."""
    options = Options(**TABLE)
    sound = {
        "origin": "https://llm.test",
        "made_with": made_with(options),
        "configuration": configuration(options),
        "token_endpoint": "https://sso.test/token",
        "access_token": "AT",
        "refresh_token": "RT",
        "expires_at": NOW + 3600,
        "issued_at": NOW,
    }
    return {name: value for name, value in {**sound, **fields}.items() if value is not None}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A CODEX_HOME whose snapshot was written, in the environment of this process."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    monkeypatch.setattr("keyfob.cli.warm.time.time", lambda: NOW)
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("KEYFOB_ASKING", "KEYFOB_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "keyfob.toml").write_text(CONFIG)
    assert Host(os.environ).remember()
    return tmp_path


def store(home, data, mode=0o600):
    path = home / "keyfob" / "oauth" / "corp.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("fields", [{}, {"refresh_token": None}, {"account": "u-1"}])
def test_a_sound_login_is_answered_for_as_the_whole_command_does(home, fields):
    """Renewable or not."""
    store(home, login(**fields))
    assert token(["corp"]) == "AT" == Host(os.environ, clock=lambda: NOW).provider("corp").credential().token


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "https://other.test"}, {"origin": None}, {"configuration": "0" * 32}, {"configuration": None},
        {"expires_at": NOW + 299}, {"expires_at": None}, {"expires_at": "soon"}, {"issued_at": "once"},
        {"access_token": None}, {"access_token": " "}, {"access_token": "a\nb"}, {"refresh_token": 5},
        {"token_endpoint": None}, {"account": {}}, {"email": ["a"]},
    ],
)  # fmt: skip
def test_whatever_is_out_of_the_ordinary_is_left_to_the_command(home, fields):
    """A login of another origin or configuration, one that ends soon, and one that is damaged."""
    store(home, login(**fields))
    assert token(["corp"]) is None


def test_it_demands_what_the_whole_command_demands():
    """It repeats two lists and a time, as it cannot afford to import them."""
    assert (warm._TEXTS, warm._NEEDED) == (TEXTS, NEEDED)
    assert max(OWN_WINDOW) == warm._OWN_RENEWAL


def test_an_unfinished_renewal_is_left_to_the_command(home):
    """And so are a file that others can read, and none at all."""
    assert token(["corp"]) is None
    path = store(home, login(), mode=0o644)
    assert token(["corp"]) is None
    path.chmod(0o600)
    path.with_name("corp.json.keyfob.journal").write_bytes(Journal(intent=Intent("x")).dumped())
    assert token(["corp"]) is None


@pytest.mark.parametrize(
    ("old", "new"), [('"keyfob"', '"other"'), ("llm.test", "other.test"), ("sso.test", "other.test"), (', "api"', "")]
)
def test_a_changed_configuration_is_one_that_a_login_was_not_made_with(home, old, new):
    """With a snapshot of its own."""
    store(home, login())
    (home / "keyfob.toml").write_text(CONFIG.replace(old, new))
    assert Host(os.environ).remember()
    assert token(["corp"]) is None


def test_the_snapshot_holds_nothing_of_the_table(home):
    """But a word that tells it from others."""
    text = "".join(file.read_text() for file in (home / "cache").rglob("*") if file.is_file())
    assert configuration(Options(**TABLE)) in text
    assert "sso.test" not in text
