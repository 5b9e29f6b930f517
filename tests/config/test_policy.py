"""Policy: the rules of every layer and of requirements.toml, how they combine, and what they are about."""

from __future__ import annotations

import json
import os

import pytest

from keyfob import Host
from keyfob.config.policy import Policy, Rule, method_at
from keyfob.config.snapshot import load
from keyfob.errors import ConfigError, PolicyError
from keyfob.testing.issuer import Issuer

from ..logins import KEY, PERSONAL, chatgpt  # noqa: TID252

OPENAI = '[model_providers.p]\nbase_url = "https://llm.example/v1"\nrequires_openai_auth = true\n'


def store(home, data):
    """Write auth.json."""
    path = home.folder / "auth.json"
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    return path


def admin(home, text, name="requirements.toml"):
    """Write a file of the administrator's; its path."""
    (home.system / name).write_text(text)
    return str(home.system / name)


def refusal(provider):
    """What the rules say against the credential of a provider."""
    with pytest.raises(PolicyError) as caught:
        provider.headers()
    assert "canary" not in str(caught.value)
    return caught.value


def rules(home, **options):
    """The rules in force, as a line."""
    return str(home.host(**options).configuration.policy)


# Rules and their places


@pytest.mark.parametrize("layer", ["system", "user", "profile", "session", "managed"])
def test_a_rule_may_stand_in_every_layer(home, layer):
    """It is told with its value, its file and its line."""
    text, options = '\nforced_login_method = "api"\n', {}
    if layer == "session":
        options, place = {"overrides": ["forced_login_method=api"]}, "-c"
    elif layer == "profile":
        options, place = {"profile": "work"}, home.write(text, "work.config.toml") + ":2"
    elif layer == "user":
        place = home.write(text, "keyfob.toml") + ":2"
    else:
        place = admin(home, text, "config.toml" if layer == "system" else "managed_config.toml") + ":2"
    (rule,) = home.host(**options).configuration.policy.rules
    assert (rule.key, rule.value, rule.layer) == ("forced_login_method", "api", layer)
    assert str(rule) == f'forced_login_method = "api" ({place})'
    assert rule.removes == (layer in {"system", "user", "managed"})


def test_the_managed_file_goes_before_all_others(home):
    """As in Codex: neither the user's file nor -c can soften it."""
    home.write('forced_login_method = "api"')
    path = admin(home, 'forced_login_method = "chatgpt"', "managed_config.toml")
    found = rules(home, overrides=["forced_login_method=api"])
    assert found == f'forced_login_method = "chatgpt" ({path}:1)'


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"a"', ("a",)),
        ('" a "', ("a",)),
        ('["a", " b ", ""]', ("a", "b")),
        ('""', None),
        ("[]", None),
        ('[" ", ""]', None),
    ],
)
def test_workspaces_are_one_or_a_list(home, written, value):
    """Blanks are trimmed, what is empty is dropped; nothing left is no rule."""
    home.write(f"forced_chatgpt_workspace_id = {written}")
    found = home.host().configuration.policy.rules
    assert [rule.value for rule in found] == ([] if value is None else [value])


def test_workspaces_in_one_string_with_commas_are_an_error(home):
    """It says what a list of them is."""
    path = home.write('forced_chatgpt_workspace_id = "a,b"\n')
    with pytest.raises(ConfigError, match="TOML list") as caught:
        rules(home)
    (fault,) = caught.value.faults
    assert (fault.path, fault.line, fault.key) == (path, 1, "forced_chatgpt_workspace_id")


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("managed_config.toml", 'forced_login_method = "zzz"', "forced_login_method"),
        ("managed_config.toml", "forced_chatgpt_workspace_id = 5", "forced_chatgpt_workspace_id"),
        ("requirements.toml", 'allowed_login_methods = ["device"]', "allowed_login_methods.0"),
        ("requirements.toml", 'allowed_login_methods = "api"', "allowed_login_methods"),
        ("requirements.toml", 'allowed_chatgpt_workspaces = "a"', "allowed_chatgpt_workspaces"),
        ("requirements.toml", 'enforce_residency = "eu"', "enforce_residency"),
        ("requirements.toml", 'cli_auth_credentials_store = "disk"', "cli_auth_credentials_store"),
    ],
)
def test_a_rule_that_makes_no_sense_lets_nothing_through(home, name, text, key):
    """File, line and key are named, and the login is not used."""
    store(home, KEY)
    path = admin(home, f"\n{text}\n", name)
    with pytest.raises(ConfigError) as caught:
        home.provider(OPENAI, "p").headers()
    assert [(fault.path, fault.line, fault.key) for fault in caught.value.faults] == [(path, 2, key)]


def test_a_forced_key_in_requirements_has_no_effect(home):
    """As in Codex, which warns too."""
    store(home, chatgpt())
    path = admin(home, 'forced_login_method = "api"\n')
    assert home.provider(OPENAI, "p").headers()
    assert [(fault.path, fault.line, fault.key) for fault in home.warned] == [(path, 1, "forced_login_method")]


def test_requirements_are_no_configuration(home):
    """What else stands there is Codex's, and sets nothing."""
    admin(home, 'model_provider = "evil"\n[model_providers.evil]\nbase_url = "https://evil.example"\n')
    host = home.host()
    assert host.default_id == "openai"
    assert "evil" not in host.ids
    assert not host.configuration.ruled


# How they combine

ANY = ("chatgpt", "api")


@pytest.mark.parametrize(
    ("forced", "allowed", "workspaces", "permitted"),
    [
        (None, None, None, ANY),
        ("api", None, None, ("api",)),
        (None, ["chatgpt"], None, ("chatgpt",)),
        ("api", ["api", "chatgpt"], None, ("api",)),
        ("api", ["chatgpt"], None, ()),
        (None, [], None, ()),
        (None, None, (["a", "b"], ["b", "c"]), ANY),
        (None, None, (["a"], ["b"]), ("api",)),
        (None, None, (None, []), ("api",)),
        (None, None, (["a"], None), ANY),
        ("chatgpt", None, (["a"], ["b"]), ()),
        (None, ["chatgpt"], (None, []), ()),
    ],
)
def test_a_method_is_permitted_if_no_rule_speaks_against_it(home, forced, allowed, workspaces, permitted):
    """Forced and allowed together; for ChatGPT a workspace has to be left. No method left is an error."""
    forced_workspaces, allowed_workspaces = workspaces or (None, None)
    given = {"forced_login_method": forced, "forced_chatgpt_workspace_id": forced_workspaces}
    required = {"allowed_login_methods": allowed, "allowed_chatgpt_workspaces": allowed_workspaces}
    for name, table in (("managed_config.toml", given), ("requirements.toml", required)):
        admin(
            home, "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items() if value is not None), name
        )
    configuration = home.host().configuration
    if permitted:
        assert tuple(filter(configuration.policy.permits, ANY)) == permitted
    else:
        with pytest.raises(ConfigError, match="permit no login at all"):
            _ = configuration.policy


def test_the_workspaces_are_those_that_both_lists_have():
    """Where only one says something, it counts."""
    forced = Rule("forced_chatgpt_workspace_id", ("a", "b"), "user", "f", 1)
    allowed = Rule("allowed_chatgpt_workspaces", ("b", "c"), "requirements", "f", 1)
    assert Policy([forced, allowed]).workspaces == ("b",)
    assert Policy([allowed]).workspaces == ("b", "c")
    assert Policy([]).workspaces is None


def test_rules_that_permit_nothing_stop_only_what_they_are_about(home):
    """Another provider's own key is used as ever."""
    home.environ["LAB_KEY"] = "k"
    admin(home, "allowed_login_methods = []")
    host = home.host(OPENAI + '[model_providers.lab]\nbase_url = "https://lab.example"\nenv_key = "LAB_KEY"\n')
    assert host.provider("lab").headers()
    with pytest.raises(ConfigError, match="permit no login at all"):
        host.provider("p").headers()


# What is judged


@pytest.mark.parametrize(
    ("rule", "login", "says"),
    [
        ('forced_login_method = "api"', chatgpt(), "counts as a ChatGPT login"),
        ('forced_login_method = "chatgpt"', KEY, "counts as an API key"),
        ('forced_chatgpt_workspace_id = ["acct-8", "acct-9"]', chatgpt(), "belongs to workspace acct-1"),
        ('forced_chatgpt_workspace_id = "acct-1"', chatgpt(identity="acct-2"), "belongs to workspace acct-2"),
        ('forced_chatgpt_workspace_id = "acct-1"', chatgpt(access="acct-3"), "belongs to workspace acct-3"),
        ('forced_chatgpt_workspace_id = "acct-1"', chatgpt(account="acct-4"), "belongs to workspace acct-4"),
        ('forced_chatgpt_workspace_id = "acct-1"', chatgpt(None, None, None), "does not say which workspace"),
        ('forced_login_method = "api"', PERSONAL, "counts as a ChatGPT login"),
    ],
)
def test_a_stored_login_that_breaks_a_rule_is_not_used(home, rule, login, says):
    """The rule is named with file and line; the login stays: a library deletes nothing."""
    path = store(home, login)
    managed = admin(home, rule, "managed_config.toml")
    error = refusal(home.provider(OPENAI, "p"))
    assert says in str(error)
    assert str(error).endswith(f"({managed}:1)")
    assert error.removes
    assert json.loads(path.read_text()) == login


@pytest.mark.parametrize(
    ("rule", "login"),
    [
        ('forced_login_method = "api"', KEY),
        ('forced_login_method = "chatgpt"', chatgpt()),
        ('forced_chatgpt_workspace_id = ["acct-1", "acct-2"]', chatgpt(identity="acct-2", access=None)),
        ('forced_chatgpt_workspace_id = "acct-8"', KEY),
    ],
)
def test_a_login_that_keeps_the_rules_is_used(home, rule, login):
    """Every claim that it makes is permitted; an API key has no workspace."""
    store(home, login)
    admin(home, rule, "managed_config.toml")
    assert home.provider(OPENAI, "p").headers()


def test_a_rule_of_requirements_is_obeyed_and_has_nothing_removed(home):
    """Codex keeps the login too."""
    store(home, chatgpt())
    admin(home, 'allowed_login_methods = ["api"]')
    assert not refusal(home.provider(OPENAI, "p")).removes
    admin(home, 'allowed_login_methods = ["chatgpt"]\nallowed_chatgpt_workspaces = ["acct-1"]')
    assert home.provider(OPENAI, "p").headers()
    store(home, chatgpt(access="acct-2"))
    assert "acct-2" in str(refusal(home.provider(OPENAI, "p")))


def test_of_two_broken_rules_the_one_that_removes_is_named(home):
    """It decides what happens."""
    store(home, chatgpt())
    admin(home, 'allowed_chatgpt_workspaces = ["acct-7"]')
    admin(home, 'forced_chatgpt_workspace_id = ["acct-7"]', "managed_config.toml")
    assert "managed_config.toml" in str(refusal(home.provider(OPENAI, "p")))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("CODEX_API_KEY", "sk-canary", 'forced_login_method = "chatgpt"'),
        ("CODEX_ACCESS_TOKEN", "at-canary", 'forced_login_method = "api"'),
    ],
)
def test_what_the_environment_gives_is_judged_and_named(home, name, value, rule):
    """The stored login, which would be fine, does not step in; nothing is to be removed."""
    store(home, chatgpt() if name == "CODEX_API_KEY" else KEY)
    home.environ[name] = value
    home.write(rule)
    error = refusal(home.host(rule + "\n" + OPENAI).provider("p"))
    assert name in str(error)
    assert error.hint == f"unset {name}"
    assert not error.removes


def test_a_personal_access_token_is_judged_once_its_workspace_is_known(home):
    """Not before, for it could be the right one; its issuer says whose it is."""
    with Issuer() as issuer:
        home.environ.update(issuer.environ, CODEX_ACCESS_TOKEN="at-canary")
        issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-1"}
        assert home.provider(f'forced_chatgpt_workspace_id = "acct-1"\n{OPENAI}', "p").headers()
        issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-2"}
        error = refusal(home.provider(f'forced_chatgpt_workspace_id = "acct-1"\n{OPENAI}', "p"))
    assert "CODEX_ACCESS_TOKEN belongs to workspace acct-2" in str(error)


def test_a_login_of_which_its_issuer_knows_no_workspace_is_refused(home, monkeypatch):
    """What is not known is not permitted."""
    monkeypatch.setattr("keyfob_openai.plugin.OpenAILogins.complete", lambda _, record: record)
    store(home, PERSONAL)
    error = refusal(home.provider(f'forced_chatgpt_workspace_id = "acct-1"\n{OPENAI}', "p"))
    assert "does not say which workspace" in str(error)


def test_a_login_that_is_another_by_now_is_judged_again(home, monkeypatch):
    """A running program does not go on with what a rule forbids."""
    monkeypatch.setattr("keyfob.credentials.stored.LOOK_EVERY", 0.0)
    store(home, chatgpt())
    provider = home.provider(f'forced_chatgpt_workspace_id = "acct-1"\n{OPENAI}', "p")
    assert provider.headers()
    store(home, chatgpt(access="acct-2"))
    refusal(provider)


# Whatever goes to OpenAI


@pytest.mark.parametrize(
    ("host", "method"),
    [
        ("openai.com", "api"),
        ("eu.api.openai.com", "api"),
        ("api.openai.com.", "api"),
        ("chatgpt.com", "chatgpt"),
        ("ab.chatgpt.com", "chatgpt"),
        ("notopenai.com", None),
        ("openai.com.evil.example", None),
        ("corp.openai.azure.com", None),
    ],
)
def test_openais_hosts(host, method):
    """Its domains and what is below them."""
    assert method_at(host) == method


KINDS = {
    "env_key": 'env_key = "LAB_KEY"',
    "bearer": 'experimental_bearer_token = "canary"',
    "command": 'auth = { command = "false" }',
    "none": 'http_headers = { Authorization = "Bearer canary" }',
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_for_openai_counts_as_an_api_key(home, kind):
    """No way of writing it leads round the rule; the command is not run."""
    home.environ["LAB_KEY"] = "canary"
    entry = f'[model_providers.x]\nbase_url = "https://api.openai.com./v1"\n{KINDS[kind]}\n'
    provider = home.provider(f'forced_login_method = "chatgpt"\n{entry}')
    error = refusal(provider)
    assert "counts as an API key" in str(error)
    assert not error.removes
    assert provider.source.peek() is None
    explained = provider.explain()
    assert (explained.ready, explained.faults) == (False, ())
    assert "forbidden by policy" in str(explained.state)
    assert explained.policy == (f'forced_login_method = "chatgpt" ({home.folder}/config.toml:1)',)
    if kind not in {"command", "none"}:
        assert home.provider(f'forced_login_method = "api"\n{entry}').headers()


def test_a_key_for_chatgpt_is_a_login_whose_workspace_nobody_knows(home):
    """A rule on workspaces refuses it, one that forces ChatGPT does not."""
    home.environ["LAB_KEY"] = "canary"
    entry = '[model_providers.x]\nbase_url = "https://chatgpt.com/backend-api/codex"\nenv_key = "LAB_KEY"\n'
    assert home.provider(f'forced_login_method = "chatgpt"\n{entry}').headers()
    refusal(home.provider(f'forced_login_method = "api"\n{entry}'))
    error = refusal(home.provider(f'forced_chatgpt_workspace_id = "acct-1"\n{entry}'))
    assert "does not say which workspace" in str(error)


def test_another_providers_own_key_is_never_judged(home):
    """Wherever it goes that is not OpenAI's."""
    home.environ["LAB_KEY"] = "k"
    admin(home, 'allowed_login_methods = ["chatgpt"]\nallowed_chatgpt_workspaces = ["acct-7"]')
    for url in ("https://corp.openai.azure.com/openai/v1", "https://llm.example/v1"):
        entry = f'[model_providers.x]\nbase_url = "{url}"\nenv_key = "LAB_KEY"\n'
        assert home.provider(entry).headers()


# What requirements.toml pins


def test_a_pinned_store_is_the_one_that_is_used(home):
    """Whether the user says the same, or nothing."""
    admin(home, 'cli_auth_credentials_store = "ephemeral"')
    assert home.host("").configuration.store == "ephemeral"
    assert home.host('cli_auth_credentials_store = "ephemeral"').configuration.store == "ephemeral"


@pytest.mark.parametrize(
    ("key", "own", "required"),
    [
        ("cli_auth_credentials_store", "file", "ephemeral"),
        ("chatgpt_base_url", "https://a.example/", "https://b.example/"),
    ],
)
def test_a_value_that_contradicts_a_pin_is_an_error_that_names_both_places(home, key, own, required):
    """And no login is used meanwhile."""
    store(home, KEY)
    path = admin(home, f'\n{key} = "{required}"')
    with pytest.raises(ConfigError) as caught:
        home.provider(f'{key} = "{own}"\n{OPENAI}', "p").headers()
    said = str(caught.value)
    assert said.startswith(f"{home.folder}/config.toml:1: {key}: ")
    assert f"{path}:2" in said


@pytest.mark.parametrize(
    "entry",
    [OPENAI, '[model_providers.p]\nbase_url = "https://eu.api.openai.com/v1"\nenv_key = "LAB_KEY"\n'],
    ids=["login through a proxy", "key for OpenAI"],
)
def test_residency_goes_with_every_request_for_openai(home, entry):
    """Through a proxy too, which hands it on; what the user sets under that name does not count."""
    store(home, KEY)
    home.environ["LAB_KEY"] = "k"
    admin(home, 'enforce_residency = "us"')
    own = 'http_headers = { "X-OpenAI-Internal-Codex-Residency" = "eu" }\n'
    provider = home.provider(entry + own, "p")
    assert "x-openai-internal-codex-residency" in provider.explain().headers
    found = provider.headers()
    assert [value for name, value in found.items() if "residency" in name.lower()] == ["us"]


def test_residency_is_nobody_elses_business(home):
    """Another provider's requests are as they were."""
    home.environ["LAB_KEY"] = "k"
    admin(home, 'enforce_residency = "us"')
    found = home.provider('[model_providers.x]\nbase_url = "https://lab.example"\nenv_key = "LAB_KEY"\n').headers()
    assert list(found) == ["Authorization"]


# Files that cannot be read


@pytest.mark.parametrize("name", ["managed_config.toml", "requirements.toml"])
@pytest.mark.parametrize("fault", ["not TOML", "binary", "a folder", "a pipe", "a loop", "a link to nowhere"])
def test_with_a_managed_file_that_cannot_be_read_everything_is_refused(home, name, fault):
    """Nobody knows what it would have said; the error names it, for other providers too."""
    home.environ["LAB_KEY"] = "k"
    path = home.system / name
    match fault:
        case "not TOML":
            path.write_text("forced_login_method =")
        case "binary":
            path.write_bytes(b"\x80\x81")
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a loop":
            path.symlink_to(name)
        case _:
            path.symlink_to("nowhere")
    with pytest.raises(ConfigError) as caught:
        home.provider('[model_providers.x]\nbase_url = "https://lab.example"\nenv_key = "LAB_KEY"\n').headers()
    assert str(path) in str(caught.value)


# The snapshot


@pytest.fixture
def settled(monkeypatch):
    """What was just written counts as settled."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)


def test_the_snapshot_does_not_answer_for_what_a_rule_may_touch(home, settled):
    """Its logins are judged whenever they are read; other providers are as quick as ever."""
    store(home, KEY)
    home.environ["LAB_KEY"] = "k"
    ours = '[model_providers.ours]\nbase_url = "https://api.openai.com/v1"\nenv_key = "LAB_KEY"\n'
    lab = '[model_providers.lab]\nbase_url = "https://lab.example"\nenv_key = "LAB_KEY"\n'
    assert home.host(OPENAI + ours + lab).remember()
    assert all(load(home.places).routed(name) for name in ("p", "ours", "lab"))
    admin(home, 'enforce_residency = "us"')
    assert home.host().remember()
    assert load(home.places).routed("p")
    admin(home, 'allowed_login_methods = ["api"]')
    assert home.host().remember()
    assert [bool(load(home.places).routed(name)) for name in ("p", "ours", "lab")] == [False, False, True]


@pytest.mark.parametrize("name", ["managed_config.toml", "managed_keyfob.toml", "requirements.toml"])
def test_a_policy_file_that_appears_makes_the_snapshot_worthless(home, settled, name):
    """Whatever it is: a file, a link to nowhere, a pipe, which is not waited for."""
    assert home.host(OPENAI).remember()
    assert load(home.places)
    path = home.system / name
    for plant in (path.touch, lambda: path.symlink_to("nowhere"), lambda: os.mkfifo(path)):
        plant()
        assert load(home.places) is None
        path.unlink()
        assert load(home.places)


def test_a_policy_file_is_read_at_every_start(home, settled):
    """One whose size and times show no change is noticed all the same."""
    path = home.system / "requirements.toml"
    path.write_text('allowed_login_methods = ["api"]     ')
    assert home.host(OPENAI).remember()
    assert load(home.places)
    before = os.stat(path)
    path.write_text('allowed_login_methods = ["chatgpt"] ')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(home.places) is None


def test_a_host_of_the_users_own_is_ruled_as_well(home):
    """The library reads the same files."""
    store(home, KEY)
    home.write(f'forced_login_method = "chatgpt"\n{OPENAI}')
    with pytest.raises(PolicyError):
        Host(home.environ, places=home.places).provider("p").credential()
