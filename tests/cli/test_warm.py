"""The warm path gives the same answer as the whole way round, and nothing where that would be an error."""

from __future__ import annotations

import json
import os
import sys

import pytest

from keyfob import Host, cli
from keyfob.cli.warm import token
from keyfob.config import snapshot
from keyfob.config.places import Places

CONFIG = """
model_provider = "lab"
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
[model_providers.run]
base_url = "https://run.example/v1"
auth = { command = "echo", args = ["tok"] }
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A CODEX_HOME whose snapshot was written, in the environment of this process."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LAB_KEY", "key-1")
    for name in ("KEYFOB_ASKING", "KEYFOB_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.toml").write_text(CONFIG)
    assert Host(os.environ).remember()
    return tmp_path


@pytest.mark.parametrize("arguments", [[], ["lab"]])
def test_the_variable_is_the_token(home, arguments):
    """By name, or as the default provider."""
    assert token(arguments) == "key-1"


def test_the_variable_is_read_when_asked(home, monkeypatch):
    """Nothing of it was remembered."""
    monkeypatch.setenv("LAB_KEY", "\t key-2 \n")
    assert token([]) == "key-2"


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "k-é", "a\x00b".replace("\x00", "\x01")])
def test_a_variable_that_cannot_be_sent_is_left_to_the_command(home, monkeypatch, value):
    """It knows how to say what is wrong."""
    monkeypatch.setenv("LAB_KEY", value)
    assert token([]) is None


@pytest.mark.parametrize(
    "arguments", [["run"], ["nobody"], ["-h"], ["--format", "json"], ["lab", "--format"], ["lab", "lab"], [""]]
)
def test_whatever_takes_more_is_left_to_the_command(home, arguments):
    """Other plugins, other arguments."""
    assert token(arguments) is None


@pytest.mark.parametrize("name", ["KEYFOB_ASKING", "KEYFOB_DISABLE_PLUGINS"])
def test_the_environment_can_lead_round_it(home, monkeypatch, name):
    """With one of these the snapshot is not the whole truth."""
    monkeypatch.setenv(name, "lab")
    assert token([]) is None


def test_a_changed_configuration_is_noticed(home):
    """The old answer would be the wrong one."""
    (home / "config.toml").write_text(CONFIG.replace("LAB_KEY", "OTHER_KEY"))
    assert token([]) is None


@pytest.fixture
def dotenv(home):
    """Write `.env`, and the snapshot anew."""

    def write(data):
        (home / ".env").write_bytes(data)
        assert Host(os.environ).remember()

    return write


def test_dotenv_goes_before_the_environment(home, dotenv):
    """As in Codex."""
    dotenv(b"LAB_KEY='from file'\n")
    assert token([]) == "from file"
    dotenv(b"OTHER=1\n")
    assert token([]) == "key-1"


def test_the_command_line_uses_it(home, monkeypatch, capsys):
    """Without importing the command's own module."""
    monkeypatch.setattr(sys, "argv", ["keyfob", "token", "lab"])
    monkeypatch.setattr("keyfob.cli.run.run", None, raising=False)
    assert cli.main() == 0
    assert capsys.readouterr().out == "key-1\n"


def test_warm_and_cold_agree(home):
    """What the snapshot answers is what the host answers."""
    places = Places.of(os.environ)
    assert snapshot.load(places) is not None
    assert token(["lab"]) == Host(os.environ).provider("lab").credential().token


def test_a_line_break_in_dotenv_is_no_end_of_a_key(home, dotenv):
    """A carriage return alone is part of the value there, and then the value cannot be sent."""
    dotenv(b"LAB_KEY=abc\rdef\n")
    assert token([]) is None


def store(home, mode=0o600, **fields):
    """A key for `lab`, as `keyfob login` stores it."""
    path = home / "keyfob" / "envkey" / "lab.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"origin": "https://lab.example", "api_key": "key-stored", **fields}))
    path.chmod(mode)


def test_a_stored_key_is_the_token_where_the_variable_is_unset(home, dotenv, monkeypatch):
    """Blank is unset, in `.env` too."""
    store(home)
    assert token([]) == "key-1"
    monkeypatch.setenv("LAB_KEY", " ")
    assert token([]) == token(["lab"]) == "key-stored" == Host(os.environ).provider("lab").credential().token
    monkeypatch.setenv("LAB_KEY", "key-1")
    dotenv(b"LAB_KEY=\n")
    assert token([]) == "key-stored" == Host(os.environ).provider("lab").credential().token


@pytest.mark.parametrize(
    "stored", [{"origin": "https://other.example"}, {"api_key": ""}, {"api_key": "a\nb"}, {"mode": 0o644}]
)
def test_a_stored_key_that_is_not_to_be_used_is_left_to_the_command(home, monkeypatch, stored):
    """It knows how to say why."""
    store(home, **stored)
    monkeypatch.delenv("LAB_KEY")
    assert token([]) is None


def test_a_stored_key_is_not_read_where_keys_are_kept_elsewhere(home, monkeypatch):
    """The file is not the place then."""
    store(home)
    monkeypatch.delenv("LAB_KEY")
    (home / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"\n' + CONFIG)
    assert Host(os.environ).remember()
    assert token([]) is None
