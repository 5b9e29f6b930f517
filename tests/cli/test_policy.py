"""What the commands do about policy: those that use a login remove one that breaks a rule, others change nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

import keyring.core
import pytest

from keyfob import cli
from keyfob.config import snapshot
from keyfob.stores.file import FileStore
from keyfob.testing.issuer import Issuer

from ..logins import KEY, PERSONAL, chatgpt  # noqa: TID252
from ..stores.conftest import Memory  # noqa: TID252

RULE = 'forced_login_method = "api"\n'
USING = {
    "token": ["token", "p"],
    "json": ["token", "p", "--json"],
    "headers": ["headers", "p"],
    "request": ["request", "models", "--provider", "p"],
    "exec": ["exec", "p", "--", sys.executable, "-c", "print('it ran')"],
    "check": ["check", "p"],
}
LOOKING = {
    "status": ["status", "p"],
    "login status": ["login", "status"],
    "explain": ["explain", "p"],
    "providers": ["providers"],
    "doctor": ["doctor"],
    "completion": ["completion", "bash"],
    "config": ["config", "schema"],
    "plugins": ["plugins"],
}


@pytest.fixture
def openai(keyfob, server):
    """keyfob with one provider that uses the OpenAI login, and one that does not."""
    keyfob.environ["LAB_KEY"] = "sk-canary-lab"
    configure(keyfob, server)
    return keyfob


def configure(keyfob, server, rule="", name="config.toml"):
    """Write the configuration with a rule at its head; its path."""
    return keyfob.configure(
        f"""{rule}
model_provider = "p"
[model_providers.p]
base_url = "{server.base_url}"
requires_openai_auth = true
[model_providers.lab]
base_url = "{server.base_url}"
env_key = "LAB_KEY"
""",
        name,
    )


def managed(keyfob, rule, name="managed_config.toml"):
    """Write a file of the administrator's; its path."""
    path = f"{keyfob.folder}/system/{name}"
    with open(path, "w") as file:
        file.write(rule)
    return path


def store(keyfob, data):
    """Write auth.json; its path."""
    path = f"{keyfob.home}/auth.json"
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(data, file)
    return path


def state_of(folder):
    """Every file below CODEX_HOME with what is in it."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", USING)
def test_a_command_that_would_use_a_forbidden_login_removes_it(openai, server, command):
    """It says which rule from which file and line, sends nothing, revokes nothing, and exits with 1."""
    rule, path = managed(openai, f"\n{RULE}"), store(openai, chatgpt())
    with Issuer() as issuer:
        said = openai(*USING[command], **issuer.environ)
        assert issuer.revoked == []
    assert said.code == 1
    assert f"({rule}:2). The login was removed from {path}" in said.err + said.out
    assert "canary" not in said.err + said.out
    assert command == "check" or "keyfob login p --with-api-key" in said.err
    assert "it ran" not in said.out
    assert not os.path.exists(path)
    assert not server.received


@pytest.mark.parametrize("command", LOOKING)
def test_a_command_that_only_looks_changes_nothing(openai, command):
    """No file is written, removed or changed, whatever rule is broken."""
    managed(openai, RULE)
    store(openai, chatgpt())
    before = state_of(openai.home)
    openai(*LOOKING[command])
    assert state_of(openai.home) == before


@pytest.mark.parametrize("layer", ["managed", "system", "user", "profile", "session", "requirements"])
def test_which_rules_remove(openai, server, layer):
    """Those of the managed, the system and the user's file; any other only has the login refused."""
    path, arguments = store(openai, chatgpt()), USING["token"]
    if layer in {"managed", "system"}:
        managed(openai, RULE, {"managed": "managed_config.toml", "system": "config.toml"}[layer])
    elif layer == "user":
        configure(openai, server, RULE)
    elif layer == "profile":
        openai.configure(RULE, "work.config.toml")
        arguments = ["-p", "work", *arguments]
    elif layer == "session":
        arguments = ["-c", "forced_login_method=api", *arguments]
    else:
        managed(openai, 'allowed_login_methods = ["api"]', "requirements.toml")
    said = openai(*arguments)
    assert said.code == 1
    assert "counts as a ChatGPT login" in said.err
    removed = layer in {"managed", "system", "user"}
    assert ("The login was removed" in said.err, os.path.exists(path)) == (removed, not removed)


def test_what_a_renewal_left_is_removed_with_it(openai):
    """A staged answer would be a login too."""
    path = store(openai, chatgpt())
    for name in ("stage", "journal"):
        with open(f"{path}.keyfob.{name}", "w") as file:
            file.write("{}")
    managed(openai, RULE)
    assert openai("token").code == 1
    assert not [name for name in os.listdir(openai.home) if name.endswith((".stage", ".journal"))]


def test_an_offending_key_of_the_environment_is_refused_and_nothing_is_removed(openai):
    """Neither it, nor the stored login, which it goes before: that would be fine, or is not used."""
    managed(openai, 'forced_login_method = "chatgpt"')
    for login in (chatgpt(), KEY):
        path = store(openai, login)
        said = openai("token", CODEX_API_KEY="sk-canary-environment")
        assert said.code == 1
        assert "CODEX_API_KEY counts as an API key" in said.err
        assert "unset CODEX_API_KEY" in said.err
        assert "removed" not in said.err
        assert os.path.exists(path)


def test_only_the_provider_that_is_used_counts(openai):
    """Unlike in Codex, a command for another provider leaves a forbidden login alone."""
    managed(openai, RULE)
    path = store(openai, chatgpt())
    assert openai("token", "lab").out == "sk-canary-lab\n"
    assert openai("check", "lab").code == 0
    assert os.path.exists(path)


def test_of_two_stored_logins_the_one_that_is_used_is_removed(openai, monkeypatch):
    """With `auto` the other counts from then on, and is judged in its turn."""
    backend = Memory()
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    account = "cli|" + hashlib.sha256(openai.home.encode()).hexdigest()[:16]
    backend.kept["Codex Auth", account] = json.dumps(chatgpt())
    openai.configure(f'{RULE}cli_auth_credentials_store = "auto"\n', "keyfob.toml")
    path = store(openai, KEY)
    said = openai("token")
    assert said.code == 1
    assert "The login was removed from" in said.err
    assert account in said.err
    assert not backend.kept
    assert openai("token").out == "sk-canary-key\n"
    assert os.path.exists(path)


def test_check_removes_it_and_still_tells_of_the_others(openai):
    """Each provider has its line."""
    managed(openai, RULE)
    path = store(openai, chatgpt())
    said = openai("check", "--json")
    found = {each["provider"]: each for each in json.loads(said.out)["providers"]}
    assert said.code == 1
    assert (found["p"]["ok"], found["lab"]["ok"]) == (False, True)
    assert "The login was removed" in found["p"]["problem"]
    assert not os.path.exists(path)


@pytest.mark.slow
def test_a_personal_access_token_is_removed_once_its_workspace_is_known(openai):
    """Its issuer is asked first."""
    managed(openai, 'forced_chatgpt_workspace_id = "acct-1"')
    with Issuer() as issuer:
        path = store(openai, PERSONAL)
        issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-1"}
        assert openai("token", **issuer.environ).out == "at-canary\n"
        issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-2"}
        said = openai("token", **issuer.environ)
    assert "belongs to workspace acct-2" in said.err
    assert not os.path.exists(path)


def test_a_stored_key_for_openai_is_removed_with_its_provider_alone(openai, server):
    """A key stored for an `env_key` provider is a stored login; one for another place is nobody's business."""
    entry = '[model_providers.direct]\nbase_url = "https://api.openai.com/v1"\nenv_key = "UNSET"\n'
    openai.configure(entry + f'[model_providers.other]\nbase_url = "{server.base_url}"\nenv_key = "UNSET"\n')
    folder = f"{openai.home}/keyfob/envkey"
    os.makedirs(folder)
    for name, origin in (("direct", "https://api.openai.com"), ("other", server.base_url.removesuffix("/v1"))):
        with open(f"{folder}/{name}.json", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump({"origin": origin, "api_key": f"sk-canary-{name}"}, file)
    managed(openai, 'forced_login_method = "chatgpt"')
    assert openai("token", "other").out == "sk-canary-other\n"
    said = openai("token", "direct")
    assert "direct: what goes to api.openai.com counts as an API key" in said.err
    assert sorted(name for name in os.listdir(folder) if name.endswith(".json")) == ["other.json"]


def test_a_login_that_was_replaced_meanwhile_stays(openai, monkeypatch):
    """It is read again under the locks: somebody may have signed in the right way."""
    managed(openai, RULE)
    path, lock = store(openai, chatgpt()), FileStore.lock

    @contextlib.contextmanager
    def replaced(self, **options):
        with lock(self, **options):
            store(openai, KEY)
            yield

    monkeypatch.setattr(FileStore, "lock", replaced)
    said = openai("token")
    assert said.code == 1
    assert "removed" not in said.err
    with open(path) as file:
        assert json.load(file) == KEY


def test_a_login_that_changes_at_the_last_moment_stays(openai, monkeypatch):
    """Codex takes no lock of ours; under its own locks the record is looked at once more."""
    managed(openai, RULE)
    path, writing = store(openai, chatgpt()), FileStore.writing

    @contextlib.contextmanager
    def changed(self):
        with writing(self):
            store(openai, KEY)
            yield

    monkeypatch.setattr(FileStore, "writing", changed)
    assert openai("token").code == 1
    assert os.path.exists(path)


def test_a_login_that_cannot_be_removed_is_refused_all_the_same(openai, monkeypatch):
    """The error says which rule it breaks, and why it is still there."""
    monkeypatch.setattr("keyfob.stores.sidecar.DEADLINE", 0.0)
    managed(openai, RULE)
    path = store(openai, chatgpt())
    with FileStore(path).lock():
        said = openai("token")
    assert said.code == 1
    assert "counts as a ChatGPT login" in said.err
    assert "The login could not be removed: " in said.err
    assert os.path.exists(path)


def test_nothing_is_removed_where_nothing_is_wrong(openai):
    """The rule is kept."""
    managed(openai, RULE)
    path = store(openai, KEY)
    assert openai("token").out == "sk-canary-key\n"
    assert os.path.exists(path)


def test_residency_is_sent_and_exec_says_that_it_cannot_hand_it_on(openai, monkeypatch):
    """No variable can carry a header."""
    monkeypatch.setattr("keyfob.cli.exec._become", lambda command, environ: 0)
    managed(openai, 'enforce_residency = "us"', "requirements.toml")
    store(openai, KEY)
    assert "x-openai-internal-codex-residency: us" in openai(*USING["headers"]).out.lower()
    assert "enforce_residency (x-openai-internal-codex-residency)" in openai(*USING["exec"]).err


# The warm path


@pytest.fixture
def warm(openai, monkeypatch, capsys):
    """Runs `keyfob token` through the script's entry; its exit code and all it said."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    monkeypatch.setattr("keyfob.config.places.system_folder", lambda _: f"{openai.folder}/system")
    for name in ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", *snapshot.BYPASS):
        monkeypatch.delenv(name, raising=False)
    for name, value in openai.script_environ.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keyfob", "token", *arguments])
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("managed_config.toml", 'forced_login_method = "chatgpt"'),
        ("requirements.toml", 'allowed_login_methods = ["chatgpt"]'),
    ],
)
def test_a_rule_that_comes_between_two_starts_is_obeyed_at_once(openai, warm, monkeypatch, name, rule):
    """The second start is answered from the snapshot; the third finds the rule."""
    store(openai, KEY)
    assert warm() == (0, "sk-canary-key\n", "")
    with monkeypatch.context() as patched:
        patched.setattr("keyfob.cli.run.run", None)
        assert warm() == (0, "sk-canary-key\n", "")
    managed(openai, rule, name)
    code, out, err = warm()
    assert (code, out) == (1, "")
    assert "counts as an API key" in err


def test_a_login_that_comes_under_a_rule_is_judged_at_each_start(openai, warm, monkeypatch):
    """While a rule is in force, no snapshot answers for the login."""
    managed(openai, 'forced_chatgpt_workspace_id = "acct-1"')
    store(openai, chatgpt())
    for _ in range(2):
        assert warm()[0] == 0
    store(openai, chatgpt(access="acct-2"))
    code, out, err = warm()
    assert (code, out) == (1, "")
    assert "acct-2" in err


@pytest.mark.slow
def test_the_installed_script_obeys_a_rule_at_once(openai, server):
    """The same with processes of their own, and the user's file."""
    store(openai, KEY)
    for _ in range(2):
        assert openai.finished("token").out == "sk-canary-key\n"
    path = configure(openai, server, 'forced_login_method = "chatgpt"')
    said = openai.finished("token")
    assert (said.code, said.out) == (1, "")
    assert f"({path}:1). The login was removed from " in said.err
