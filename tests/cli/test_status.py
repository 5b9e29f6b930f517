"""`keyfob status`: each state of a login is told apart, and telling it changes nothing and asks nobody."""

from __future__ import annotations

import json
import os
import time

import pytest
from keyring.errors import KeyringLocked

from keyfob.cli.times import span
from keyfob.credentials.journal import Intent, Journal
from keyfob.credentials.outcome import Outcome
from keyfob.host import Host

from ..stores.conftest import use as use  # noqa: TID252
from ..stores.test_keyring import Failing  # noqa: TID252
from .signing import CONFIG, KEY, files, pipe, write_login

API_KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": KEY}


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `lab` takes a key, `corp` OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


def told(keyfob, *arguments, code=0, **environ):
    """The first login of the document."""
    found = keyfob("status", *arguments, "--json", **environ)
    assert found.code == code, found.err
    return json.loads(found.out)["logins"][0]


def note(keyfob, **fields):
    """Write a journal for the login that is stored."""
    login = Host({}, places=keyfob.places).provider("corp").login
    kinds = {"outcome": Outcome, "intent": Intent}
    made = {name: kinds[name](login.stored().fingerprint, **given) for name, given in fields.items()}
    login.store.note(Journal(**made))


def refused(keyfob, issuer, code="refresh_token_reused"):
    write_login(keyfob, issuer.login(expires_in=-1))
    outcome = {"code": code, "message": "it is over", "at": time.time(), "permanent": True}
    note(keyfob, outcome=outcome)


SIGN_IN = "keyfob login corp"
STATES = {
    "not signed in": (lambda keyfob, issuer: None, 1, SIGN_IN),
    "present": (lambda keyfob, issuer: write_login(keyfob, issuer.login()), 0, None),
    "expired but renewable": (
        lambda keyfob, issuer: write_login(keyfob, issuer.login(expires_in=-1)),
        0,
        "nothing: the next request renews it; keyfob check corp does it now",
    ),
    "refused for good": (refused, 1, SIGN_IN),
    "renewal interrupted": (lambda *world: refused(*world, "renewal-interrupted"), 1, SIGN_IN),
    "damaged": (
        lambda keyfob, issuer: write_login(keyfob, "{canary"),
        1,
        "move {home}/auth.json away first, to keep it; codex login, or keyfob login corp --replace",
    ),
    "forbidden by policy": (
        lambda keyfob, issuer: (
            keyfob.configure(f'forced_login_method = "api"\n{CONFIG}'),
            write_login(keyfob, issuer.login()),
        ),
        1,
        "keyfob login corp --with-api-key",
    ),
    "store not readable": (
        lambda keyfob, issuer: keyfob.configure(f'cli_auth_credentials_store = "keyring"\n{CONFIG}'),
        1,
        'write cli_auth_credentials_store = "file" in config.toml',
    ),
    "cannot be used": (lambda keyfob, issuer: keyfob.environ.update(CODEX_ACCESS_TOKEN="canary"), 1, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_each_state_is_told_with_what_to_do(keyfob, issuer, state):
    """In JSON as in words; the exit code says whether a credential can be had."""
    arrange, code, hint = STATES[state]
    arrange(keyfob, issuer)
    found = told(keyfob, "corp", code=code)
    assert (found["state"], found["usable"]) == (state, code == 0)
    assert found["hint"] == (hint and hint.format(home=keyfob.home)) or (hint is None and code == 1 and found["hint"])
    words = keyfob("status", "corp")
    assert words.code == code
    assert f"state\t{state}\n" in words.out
    assert "canary" not in words.out + words.err


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_it_changes_nothing_and_asks_nobody(keyfob, issuer, state):
    """Not a byte of any file, not a request; also in the spelling of Codex."""
    STATES[state][0](keyfob, issuer)
    before = files(keyfob.home)
    for arguments in (["status"], ["login", "status"], ["status", "corp"], ["explain", "corp"], ["providers"]):
        keyfob(*arguments)
    assert files(keyfob.home) == before
    assert not issuer.presented
    assert not issuer.revoked


def test_everything_that_is_known_of_a_chatgpt_login(keyfob, issuer):
    """No token is among it; times are RFC 3339."""
    login = issuer.login(expires_in=3600, refreshed_ago=300)
    path = write_login(keyfob, login)
    found = told(keyfob, "corp")
    times = {name: found.pop(name) for name in ("expires_at", "renewed_at", "age_seconds")}
    assert found == {
        "provider": "corp",
        "used_by": ["corp", "openai"],
        "state": "present",
        "usable": True,
        "method": "ChatGPT",
        "key": None,
        "email": "somebody@example.com",
        "account": "acct-1",
        "workspace": "acct-1",
        "plan": "pro",
        "stored": True,
        "place": path,
        "store": "file",
        "store_remark": None,
        "overruled": None,
        "unfinished_since": None,
        "failures": 0,
        "not_before": None,
        "policy": [],
        "controls": "your ChatGPT workspace: its permissions, retention and residency settings",
        "problem": None,
        "hint": None,
    }
    assert times["expires_at"].endswith("Z")
    assert times["renewed_at"] < times["expires_at"]
    assert 300 <= times["age_seconds"] < 400
    said = keyfob("status", "corp").out
    assert not [token for token in login["tokens"].values() if token in said and token != "acct-1"]
    assert "ago)" in said


def test_a_key_is_shown_masked(keyfob):
    """As Codex masks it; of a short one nothing is shown."""
    write_login(keyfob, API_KEY)
    found = told(keyfob, "corp")
    assert (found["method"], found["key"]) == ("API key", f"{KEY[:8]}***{KEY[-5:]}")
    write_login(keyfob, {**API_KEY, "OPENAI_API_KEY": "sk-canary-0123456"})
    assert told(keyfob, "corp")["key"] == "***"


def test_a_refused_login_can_be_used_until_it_expires(keyfob, issuer):
    """The exit code says so, and the problem is told."""
    write_login(keyfob, issuer.login(expires_in=600))
    outcome = {"code": "invalid_grant", "message": "it is over", "at": time.time(), "permanent": True}
    note(keyfob, outcome=outcome)
    found = told(keyfob, "corp")
    assert (found["state"], found["problem"]["message"]) == ("refused for good", "corp: it is over")


def test_a_renewal_that_is_not_finished_is_told(keyfob, issuer):
    """It is under way, or was broken off; the next request finishes it."""
    write_login(keyfob, issuer.login())
    note(keyfob, intent={"sent": True, "at": 1_700_000_000.0})
    assert told(keyfob, "corp")["unfinished_since"] == "2023-11-14T22:13:20Z"
    assert "2023-11-14T22:13:20Z; the next request finishes it" in keyfob("status", "corp").out


def test_the_rules_in_force_are_named_with_file_and_line(keyfob, issuer):
    """Of an OpenAI login; another provider's own key is under none."""
    path = keyfob.configure(f'forced_chatgpt_workspace_id = "acct-1"\n{CONFIG}')
    write_login(keyfob, issuer.login())
    rule = {"key": "forced_chatgpt_workspace_id", "value": ["acct-1"], "path": path, "line": 1}
    assert told(keyfob, "corp")["policy"] == [rule]
    assert f'policy\tforced_chatgpt_workspace_id = ["acct-1"] ({path}:1)' in keyfob("status", "corp").out
    assert told(keyfob, "lab", LAB_KEY=KEY)["policy"] == []


# Whose login


def test_the_variable_goes_before_a_stored_login_and_that_is_said(keyfob, issuer):
    """And the stored one is not forgotten."""
    path = write_login(keyfob, issuer.login())
    found = told(keyfob, "corp", CODEX_API_KEY=KEY)
    assert (found["place"], found["stored"], found["overruled"]) == ("environment variable CODEX_API_KEY", False, path)


@pytest.mark.slow
def test_without_a_provider_the_default_ones_comes_first(keyfob, issuer, monkeypatch):
    """Then whatever else is stored, each once with all that use it."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    write_login(keyfob, issuer.login())
    found = json.loads(keyfob("status", "--json").out)["logins"]
    assert [each["used_by"] for each in found] == [["lab"], ["corp", "openai"]]
    found = json.loads(keyfob("-c", "model_provider=openai", "status", "--json").out)["logins"]
    assert [each["used_by"] for each in found] == [["openai", "corp"], ["lab"]]


def test_nothing_is_said_of_logins_that_are_not_there(keyfob):
    """But of the one that was asked about."""
    found = keyfob("status", "--json")
    assert [each["provider"] for each in json.loads(found.out)["logins"]] == ["lab"]
    assert found.code == 1


@pytest.mark.slow
def test_a_default_provider_without_login_leaves_openais(keyfob, issuer):
    """Asked for by its name, that is an error."""
    write_login(keyfob, issuer.login())
    found = json.loads(keyfob("-c", "model_provider=open", "status", "--json").out)["logins"]
    assert found[0]["used_by"] == ["openai", "corp"]
    named = keyfob("status", "open")
    assert (named.code, "open needs no login" in named.err) == (2, True)


def test_a_key_for_another_origin_is_told_apart(keyfob, monkeypatch):
    """It is not shown, not even masked, and not used."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    keyfob.configure(CONFIG.replace("lab.example", "new.example"))
    found = told(keyfob, "lab", code=1)
    assert (found["state"], found["key"], found["hint"]) == (
        "stored for another configuration",
        None,
        "keyfob login lab --with-api-key",
    )


def test_configuration_that_cannot_be_used_is_2(keyfob):
    """Whatever is stored."""
    write_login(keyfob, API_KEY)
    keyfob.configure("model_provider = 1\n")
    assert keyfob("status").code == 2
    keyfob.configure(f'cli_auth_credentials_store = "fiel"\n{CONFIG}')
    assert keyfob("status", "corp").code == 2


def test_on_a_terminal_it_is_a_table_for_each(keyfob, issuer, monkeypatch):
    """With the home folder as `~`, and a blank line between two."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    write_login(keyfob, issuer.login())
    said = keyfob("status", tty=True, NO_COLOR="1").out
    assert "stored in   ~/codex/keyfob/envkey/lab.json\n" in said
    assert said.count("\n\n") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "less than a minute"), (59, "less than a minute"), (60, "1 minute"), (7_300, "2 hours"), (200_000, "2 days")],
)
def test_a_span_of_time_in_words(seconds, words):
    """In the largest unit that fits."""
    assert span(seconds) == words


def test_what_is_not_private_is_warned_of(keyfob):
    """Others can read the key."""
    path = write_login(keyfob, API_KEY)
    os.chmod(path, 0o644)
    assert f"chmod 600 {path}" in keyfob("status", "corp").err


@pytest.mark.parametrize("command", [["status"], ["logout"], ["login", "--with-api-key"]])
def test_a_faulty_entry_for_openai_is_named(keyfob, command):
    """Where the default provider needs no login, and nothing else has one."""
    path = keyfob.configure(
        'model_provider = "open"\n[model_providers.open]\nbase_url = "https://open.example/v1"\n'
        "[model_providers.openai]\nname = 5\n"
    )
    found = keyfob(*command)
    assert (found.code, f"{path}:4" in found.err, "internal" in found.err) == (2, True, False)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["invalid_client", "status-403"])
@pytest.mark.parametrize("expires_in", [-1, 600])
def test_a_renewal_that_fails_again_and_again_is_told(keyfob, issuer, code, expires_in):
    """How often, why, and when it is tried again; the doctor warns."""
    write_login(keyfob, issuer.login(expires_in=expires_in))
    outcome = {"code": code, "message": "no luck", "at": 1.0, "not_before": 1_700_000_000.0, "failures": 3}
    note(keyfob, outcome=outcome)
    found = told(keyfob, "corp")
    assert (found["problem"]["message"], found["failures"], found["not_before"]) == (
        "corp: no luck",
        3,
        "2023-11-14T22:13:20Z",
    )
    assert found["hint"] == "keyfob check corp tries again"
    assert "3 in a row; it is not tried again before 2023-11-14T22:13:20Z" in keyfob("status", "corp").out
    (said,) = [line for line in keyfob("doctor").out.splitlines() if "no luck" in line]
    assert said.startswith("warning\tlogins")
    assert "failures in a row: 3" in said


def test_with_auto_the_place_is_the_one_that_was_read(keyfob, use):
    """Which is known only afterwards."""
    use(Failing(KeyringLocked()))
    keyfob.configure(f'cli_auth_credentials_store = "auto"\n{CONFIG}')
    assert "keyring entry" in told(keyfob, "corp", code=1)["place"]


@pytest.mark.parametrize(("provider", "variable"), [("corp", "CODEX_API_KEY"), ("lab", "LAB_KEY")])
def test_where_nothing_is_stored_no_login_is_advised(keyfob, provider, variable):
    """`keyfob login` would refuse; and that both are stored nowhere does not make two logins one."""
    second = '[model_providers.second]\nbase_url = "https://second.example/v1"\nenv_key = "SECOND_KEY"\n'
    keyfob.configure(f'cli_auth_credentials_store = "ephemeral"\n{CONFIG}{second}')
    found = told(keyfob, provider, code=1)
    assert (found["hint"], "lab" in found["used_by"]) == (f"export {variable}=…", provider == "lab")
    assert "second" not in found["used_by"]
    assert "keyfob login" not in keyfob("doctor").out


def test_a_login_that_only_codex_can_use_is_not_called_damaged(keyfob):
    """Nor is it advised to be replaced."""
    write_login(keyfob, {"auth_mode": "bedrockApiKey", "bedrock_api_key": {"api_key": "canary"}})
    found = told(keyfob, "corp", code=1)
    assert (found["state"], found["problem"]["code"]) == ("cannot be used", "unsupported-login")
    assert "CODEX_HOME" in found["hint"]
    assert "--replace" not in found["hint"]
