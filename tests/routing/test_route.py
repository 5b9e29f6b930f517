"""Routing: the keys of an entry, and nothing else, say which plugin it goes to."""

from __future__ import annotations

import pytest

from keyfob.errors import CredentialError, PluginError, RoutingError
from keyfob.routing.route import Claim

AUTH = "auth = { command = 'tok' }"


def refused(provider, kind=RoutingError):
    """The error of an entry that cannot be routed, as it is shown."""
    with pytest.raises(kind) as caught:
        _ = provider.route
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("keys", "plugin", "key", "ignored"),
    [
        ("", "none", None, []),
        ("requires_openai_auth = false", "none", None, []),
        ("http_headers = { Authorization = 'x' }", "none", None, []),
        ("base_url = 'https://api.openai.com/v1'", "none", None, []),
        ("env_key = 'A'", "envkey", "env_key", []),
        ("experimental_bearer_token = 'A'", "bearer", "experimental_bearer_token", []),
        ("experimental_bearer_token = ''", "bearer", "experimental_bearer_token", []),
        (AUTH, "command", "auth", []),
        ("requires_openai_auth = true", "openai", "requires_openai_auth", []),
        ("env_key = 'A'\nrequires_openai_auth = true", "openai", "requires_openai_auth", ["env_key"]),
        ("experimental_bearer_token = 'B'\nenv_key = 'A'", "envkey", "env_key", ["experimental_bearer_token"]),
        ("experimental_bearer_token = 'B'\nenv_key = 'A'\nrequires_openai_auth = true", "openai",
         "requires_openai_auth", ["env_key", "experimental_bearer_token"]),
    ],
)  # fmt: skip
def test_the_first_of_the_built_in_keys_wins(home, keys, plugin, key, ignored):
    """In the order of design.md's table; the others are ignored, and say what came first."""
    route = home.provider(f"[model_providers.x]\n{keys}\n").route
    assert (route.plugin, route.key) == (plugin, key)
    assert [claim.key for claim in route.claims if claim.ignored] == ignored
    assert all(claim.ignored == f"`{key}` comes first" for claim in route.claims if claim.ignored)


@pytest.mark.parametrize("other", ["requires_openai_auth = true", "env_key = 'A'", "experimental_bearer_token = 'A'"])
def test_auth_beside_another_key(home, other):
    """An error, as in Codex, that names both lines."""
    path = home.write(f"[model_providers.x]\n{other}\n{AUTH}\n")
    error = refused(home.host().provider("x"))
    key = other.partition(" ")[0]
    assert f"`{key}` ({path}:2) → " in str(error)
    assert f"`auth` ({path}:3) → command" in str(error)


def test_a_table_that_nobody_declared(home, site):
    """It may hold the way to authenticate, so it is an error; that of another entry is not."""
    path = home.write("[model_providers.x]\n[model_providers.x.hmac]\nsecret = 'canary'\n[model_providers.y]\n")
    error = refused(home.host().provider("x"))
    assert str(error) == f"{path}:2: model_providers.x.hmac: no installed plugin handles `hmac`"
    assert "install a plugin" in error.hint
    assert home.host().provider("y").route.plugin == "none"


@pytest.mark.parametrize("key", ["gateway_oauth", "openai", "none", "envkey"])
def test_a_reserved_word_is_no_way_in(home, site, key):
    """A table by the name of a built-in plugin, or of a key that Codex knows, is not that plugin."""
    assert "no installed plugin handles" in str(refused(home.provider(f"[model_providers.x.{key}]")))


def test_a_declared_table_goes_to_its_plugin(home, site):
    """Known from metadata alone: nothing is imported."""
    site.install("acme", "raise RuntimeError", key="hmac")
    route = home.provider("[model_providers.x.hmac]").route
    assert (route.plugin, route.key, route.claims) == ("hmac", "hmac", (Claim("hmac", "hmac"),))


def test_a_declared_key_that_is_no_table(home, site):
    """Passed over, it would have the request sent without credentials."""
    site.install("acme", key="hmac")
    path = home.write("[model_providers.x]\nhmac = 'secret'\n")
    assert str(refused(home.host().provider("x"))) == (
        f"{path}:2: model_providers.x.hmac: expected a table (write [model_providers.x.hmac])"
    )


@pytest.mark.parametrize(
    ("other", "key", "plugin"),
    [
        ("env_key = 'A'", "env_key", "envkey"),
        (AUTH, "auth", "command"),
        ("[model_providers.x.sigv4]", "sigv4", "sigv4"),
    ],
)
def test_two_claims(home, site, other, key, plugin):
    """File, line, both keys and both plugins."""
    site.install("acme", key="hmac")
    site.install("beta", key="sigv4")
    text = f"[model_providers.x]\n{other}\n[model_providers.x.hmac]\n"
    path = home.write(text)
    error = refused(home.host().provider("x"))
    assert f"`{key}` ({path}:2) → {plugin}" in str(error)
    assert f"`hmac` ({path}:3) → hmac" in str(error)


def test_a_refused_declaration_is_named_where_it_is_needed(home, site):
    """Not "no plugin": one is there, and this is why it is not heard."""
    site.install("acme", key="hmac")
    site.install("beta", key="hmac")
    error = refused(home.provider("[model_providers.x.hmac]"), PluginError)
    assert "acme 1.0 and beta 1.0 all declare `hmac`" in str(error)


KEYFOB_COMMANDS = [
    "command = 'keyfob', args = ['token', 'x']",
    "command = '/usr/local/bin/keyfob'",
    "command = 'C:\\Tools\\Keyfob.exe'",
    "command = 'python3.11', args = ['-m', 'keyfob', 'token']",
    "command = '/venv/bin/python', args = ['-I', '-m', 'keyfob']",
]


@pytest.mark.parametrize("command", KEYFOB_COMMANDS)
def test_codexs_half_of_an_entry_claims_nothing(home, command):
    """The other half, in keyfob.toml, says how to authenticate."""
    home.write("[model_providers.x]\nenv_key = 'A'\n", "keyfob.toml")
    route = home.provider(f"[model_providers.x]\nauth = {{ {command} }}\n").route
    assert (route.plugin, route.key) == ("envkey", "env_key")
    (half,) = [claim for claim in route.claims if claim.ignored]
    assert half.key == "auth"
    assert "it is keyfob itself" in half.ignored


@pytest.mark.parametrize("command", KEYFOB_COMMANDS)
def test_codexs_half_alone(home, command):
    """Both lines are named: that of the command, and that of the table that lacks the rest."""
    path = home.write(f"[model_providers.x]\nname = 'X'\nauth = {{ {command} }}\n")
    error = refused(home.host().provider("x"))
    assert str(error).splitlines() == [
        f"{path}:3: model_providers.x.auth.command: this is keyfob itself, Codex's half of the entry",
        f"{path}:1: model_providers.x: the other half, which says how to authenticate, is missing",
    ]
    beside = path.replace("config.toml", "keyfob.toml")
    assert error.hint == f'write, for example, env_key = "NAME" under [model_providers.x] in {beside}'


def test_the_file_beside_a_profile_is_the_profiles(home):
    """The hint leads to the file that is read together with the one that holds the command."""
    path = home.write("[model_providers.x.auth]\ncommand = 'keyfob'\n", "work.config.toml")
    error = refused(home.provider("", profile="work"))
    assert path.replace("work.config.toml", "work.keyfob.toml") in error.hint


@pytest.mark.parametrize("command", ["command = 'keyfob-token'", "command = 'python3', args = ['-c', 'keyfob']",
                                     "command = 'sh', args = ['-m', 'keyfob']"])  # fmt: skip
def test_other_commands_are_commands(home, command):
    """Only keyfob is keyfob."""
    assert home.provider(f"[model_providers.x]\nauth = {{ {command} }}\n").route.plugin == "command"


@pytest.mark.parametrize("asking", ["x", "y,x", "x,y"])
def test_a_child_that_is_asked_for_its_own_provider_refuses(home, asking):
    """KEYFOB_ASKING names the providers whose commands run above it, so nothing calls itself for ever."""
    home.environ.update(KEYFOB_ASKING=asking, A="key")
    host = home.host("[model_providers.x]\nbase_url = 'https://x'\nenv_key = 'A'\n[model_providers.xx]\n")
    with pytest.raises(CredentialError, match="provider x is being asked for its credential by a command"):
        host.provider("x").credential()
    assert host.provider("xx").source


def test_bedrock_needs_a_plugin(home, site):
    """Its ids are known; `aws` may be claimed by a plugin."""
    error = refused(home.provider("", "amazon-bedrock"))
    assert str(error).endswith("model_providers.amazon-bedrock.aws: no installed plugin handles `aws`")
    site.install("kf-aws", key="aws", module="kf_aws")
    assert home.provider("", "amazon-bedrock").route.plugin == "aws"
