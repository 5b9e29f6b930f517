"""What a warm `keyfob token` imports, seen from outside: its speed is a matter of imports, and of little else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time

import pytest

from keyfob import Host
from keyfob.credentials.saving import save
from keyfob.testing.issuer import Issuer
from keyfob_oauth.login import made_with

SCRIPT = os.path.join(sysconfig.get_path("scripts"), "keyfob")
CONFIG = """
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
"""
LOGIN_CONFIG = """
[model_providers.chat]
base_url = "https://chat.example/v1"
requires_openai_auth = true
"""
OAUTH_CONFIG = """
[model_providers.corp]
base_url = "https://llm.example/v1"
[model_providers.corp.oauth]
issuer = "https://sso.example"
client_id = "keyfob"
"""
# What a start cannot afford; each of them takes longer than all that the warm path does.
COSTLY = {
    "argparse",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "httpx",
    "importlib.metadata",
    "json",
    "pathlib",
    "pluggy",
    "pydantic",
    "re",
    "typing",
}


@pytest.fixture
def environ(tmp_path):
    """All that a child's environment holds; `lab` is configured, and there is no snapshot yet."""
    (tmp_path / "config.toml").write_text(CONFIG)
    home = str(tmp_path)
    return {"HOME": home, "CODEX_HOME": home, "XDG_CACHE_HOME": str(tmp_path / "cache"), "LAB_KEY": "key-1"}


@pytest.fixture
def warm(environ, monkeypatch):
    """The same, with a snapshot."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    assert Host(environ).remember()
    return environ


def imported(arguments, environ):
    """Every module that a process imports, by its own account, what it prints, and how it ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], env=environ, capture_output=True, text=True, timeout=60
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}, done.stdout, done.returncode


def imported_beyond_the_interpreter(arguments, environ):
    """The same without what a bare interpreter of this environment imports."""
    found, output, code = imported(arguments, environ)
    return found - imported(["-c", "pass"], environ)[0], output, code


def test_the_installed_script_imports_nothing_costly(warm):
    """Nothing but keyfob's own few modules and zlib."""
    found, output, code = imported_beyond_the_interpreter([SCRIPT, "token", "lab"], warm)
    assert (output, code) == ("key-1\n", 0)
    assert not found & COSTLY
    assert {name for name in found if name.partition(".")[0] != "keyfob"} <= {"zlib"}


def test_what_it_imports_of_keyfob_is_the_warm_path_alone(warm):
    """A module more is a tenth of a millisecond more: it needs a reason."""
    found, *_ = imported_beyond_the_interpreter([SCRIPT, "token", "lab"], warm)
    assert {name for name in found if name.startswith("keyfob")} == {
        "keyfob",
        "keyfob.cli",
        "keyfob.cli.warm",
        "keyfob.config",
        "keyfob.config.places",
        "keyfob.config.snapshot",
        "keyfob.credentials",
        "keyfob.credentials.headers",
    }


@pytest.fixture
def signed_in(tmp_path, monkeypatch):
    """The same for a login, whose issuer nobody has to ask."""
    (tmp_path / "config.toml").write_text(LOGIN_CONFIG)
    with Issuer() as issuer:
        text = json.dumps(issuer.login())
    with open(os.open(tmp_path / "auth.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
    home = str(tmp_path)
    environ = {"HOME": home, "CODEX_HOME": home, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    assert Host(environ).remember()
    return environ


@pytest.mark.slow
@pytest.mark.parametrize(("flag", "further"), [([], set()), (["--repeat-means-refused"], {"keyfob.cli.repeats"})])
def test_a_login_takes_little_more(signed_in, flag, further):
    """Its file is read by our own few lines; whether it is a repeat takes one module more."""
    found, output, code = imported_beyond_the_interpreter([SCRIPT, "token", "chat", *flag], signed_in)
    assert (output.count("."), code) == (2, 0)
    assert not found & COSTLY
    assert {name for name in found if name.startswith("keyfob.cli")} == {"keyfob.cli", "keyfob.cli.warm"} | further


@pytest.mark.slow
def test_an_oauth_login_takes_no_more_than_that(tmp_path, monkeypatch):
    """It is read by the same few lines."""
    (tmp_path / "keyfob.toml").write_text(OAUTH_CONFIG)
    home = str(tmp_path)
    environ = {"HOME": home, "CODEX_HOME": home, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    host = Host(environ)
    login = host.provider("corp").login
    bound = {"token_endpoint": "https://sso.example/token", "configuration": login.records.configuration}
    tokens = {"access_token": "AT", "issued_at": time.time(), "expires_at": time.time() + 3600}
    save(login, {"made_with": made_with(host.provider("corp").options), **bound, **tokens})
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    assert host.remember()
    found, output, code = imported_beyond_the_interpreter([SCRIPT, "token", "corp"], environ)
    assert (output, code) == ("AT\n", 0)
    assert not found & COSTLY
    assert {name for name in found if name.startswith("keyfob.cli")} == {"keyfob.cli", "keyfob.cli.warm"}


@pytest.mark.slow
def test_without_a_snapshot_the_costly_ones_are_seen(environ):
    """So the tests above would notice them."""
    found, *_ = imported_beyond_the_interpreter([SCRIPT, "token", "lab"], environ)
    assert found >= COSTLY - {"httpx"}
