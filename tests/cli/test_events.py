"""What commands announce, as a plugin hears it that listens: each thing once, and nothing that only was looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import ModelServer

from ..homes import site as site  # noqa: TID252
from ..logins import chatgpt  # noqa: TID252
from .signing import pipe, write_login

AUDIT = Path(__file__).parents[2] / "examples" / "keyfob-audit" / "keyfob_audit.py"
LISTENER = """
from keyfob.plugin import hookimpl
heard = []
@hookimpl
def keyfob_event(event):
    print("noise of the listener")
    heard.append(event)
"""
KEY = "sk-canary-0123456789-abcdefgh"
LOOKING = [
    ["status"],
    ["providers"],
    ["explain", "lab", "https://evil.example/"],
    ["store"],
    ["plugins"],
    ["doctor"],
    ["token", "lab"],
    ["headers", "lab"],
]


@pytest.fixture
def strict():
    """A model server that accepts one key."""
    with ModelServer(accepts=lambda received: received.header("authorization") == f"Bearer {KEY}") as running:
        yield running


@pytest.fixture
def listening(keyfob, site, strict):
    """keyfob with a plugin that listens."""
    site.install("acme", LISTENER, key="log", group="keyfob.events")
    keyfob.configure(
        f'model_provider = "lab"\n[model_providers.lab]\nbase_url = "{strict.base_url}"\nenv_key = "KEY"\n'
    )
    return keyfob


def heard():
    """What the plugin has heard since it was asked last; no event holds a secret or a part of a URL."""
    module = sys.modules.get("kf_acme")
    found = list(module.heard) if module else []
    if module:
        module.heard.clear()
    assert "canary" not in repr(found)
    return [(event.kind, event.provider, event.plugin, event.code or event.origin) for event in found]


@pytest.mark.slow
def test_a_key_that_is_stored_and_removed(listening, monkeypatch):
    """Once each, with the place; stdout stays for data, whatever the listener prints."""
    pipe(monkeypatch, KEY)
    done = listening("login", "--with-api-key")
    assert (done.code, done.out) == (0, "")
    assert sys.modules["kf_acme"].heard[0].place == f"{listening.home}/keyfob/envkey/lab.json"
    assert heard() == [("login", "lab", "envkey", None)]
    for arguments in LOOKING:
        done = listening(*arguments)
        assert (done.code < 2, "noise" in done.out) == (True, False), done.err
    assert heard() == []
    listening("logout")
    listening("logout")
    assert heard() == [("logout", "lab", "envkey", None)]


@pytest.mark.slow
def test_a_login_that_goes_to_another_machine(listening, monkeypatch):
    """It comes with a `login`; what only was lent is still here."""
    pipe(monkeypatch, KEY)
    listening("login", "--with-api-key")
    document = listening("login", "export").out
    listening("logout")
    heard()
    pipe(monkeypatch, document)
    assert listening("login", "import").code == 0
    assert heard() == [("login", "lab", "envkey", None)]
    pipe(monkeypatch, document)
    assert listening("login", "import").code == 1  # another login is there
    assert heard() == []


def test_a_login_that_no_provider_uses_any_more(listening, monkeypatch):
    """Its plugin is known by its place alone."""
    pipe(monkeypatch, KEY)
    listening("login", "--with-api-key")
    listening.configure("")
    heard()
    listening("logout", "lab")
    assert heard() == [("logout", "lab", "envkey", None)]


def test_a_login_that_a_rule_removes(listening, strict):
    """Before the command ends with an error."""
    write_login(listening, chatgpt())
    entry = f'base_url = "{strict.base_url}"\nrequires_openai_auth = true'
    listening.configure(f'forced_login_method = "api"\n[model_providers.p]\n{entry}\n')
    assert listening("token", "p").code == 1
    assert heard() == [("logout", "p", "openai", "policy")]


def test_a_credential_that_is_refused_or_wanted_elsewhere(listening, strict):
    """By the provider itself; and by us, whatever else is in that URL."""
    assert listening("request", "models", KEY=KEY).code == 0
    assert heard() == []
    assert listening("request", "models", KEY="sk-canary-wrong").code == 1
    assert heard() == [("refused", "lab", "envkey", "status-401")]
    assert listening("request", "https://u:canary@evil.example/canary?canary", KEY=KEY).code == 1
    assert heard() == [("sent-elsewhere-blocked", "lab", "envkey", "https://evil.example")]


# The audit log, in an environment where it is installed: a renewal is made by a process of its own.


@pytest.fixture
def audited(keyfob, tmp_path):
    """keyfob with an expired OpenAI login, and a function that runs it there and returns what the log holds then."""
    root = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    site = root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "borrowed.pth").write_text("\n".join(folder for folder in sys.path if os.path.isdir(folder)))
    shutil.copy(AUDIT, site)
    (site / "noisy.py").write_text(LISTENER + "    import os; os.system('echo noise'); raise ValueError\n")
    metadata = site / "keyfob_audit-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text("[keyfob.events]\naudit = keyfob_audit\nnoisy = noisy\n")
    (metadata / "METADATA").write_text("Name: keyfob-audit\nVersion: 0.1.0\n")
    log = tmp_path / "audit.jsonl"
    environ = {**keyfob.script_environ, "KEYFOB_AUDIT_LOG": str(log)}

    def run(*arguments, **more):
        command = [str(root / "bin" / "python"), "-m", "keyfob", *arguments]
        done = subprocess.run(command, env={**environ, **more}, capture_output=True, text=True, timeout=60)
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return done, [(line["kind"], line.get("code")) for line in lines]

    return run


CORP = '[model_providers.corp]\nbase_url = "http://127.0.0.1:9/v1"\nrequires_openai_auth = true\n'


@pytest.mark.slow  # three processes for each command
def test_a_renewal_by_a_command_is_in_the_audit_log_once(keyfob, audited):
    """Told by the process that made it, and no other. A listener that prints and breaks does not spoil the answer."""
    keyfob.configure(CORP)
    with Issuer() as issuer:
        write_login(keyfob, issuer.login(expires_in=-1))
        for _ in range(2):
            done, log = audited("token", "corp", **issuer.environ)
            stored = json.loads(Path(keyfob.home, "auth.json").read_text())["tokens"]
            assert (done.stdout, log) == (f"{stored['access_token']}\n", [("renewal", None)])


@pytest.mark.slow  # a refusal is believed only after two seconds
def test_so_is_a_refusal(keyfob, audited):
    """The process that was refused ends at once: the log has it all the same."""
    keyfob.configure(CORP)
    with Issuer() as issuer:
        write_login(keyfob, issuer.login(expires_in=-1))
        issuer.answers.append((400, {"error": "invalid_grant"}))
        for _ in range(2):
            done, log = audited("token", "corp", **issuer.environ)
            assert (done.returncode, done.stdout) == (1, "")
            assert "invalid_grant" in done.stderr
            assert log == [("refused", "invalid_grant")]
