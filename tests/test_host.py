"""The host and its providers: what is resolved when, where requests go, and what many threads share."""

from __future__ import annotations

import pickle
import threading
import warnings

import pytest

import keyfob
from keyfob import ConfigWarning, Host, api
from keyfob.errors import ConfigError, IllegalHeaderError, MissingCredentialError, OriginError

from .homes import home as home
from .homes import site as site

HTTP = "plain http to llm.example would send credentials in the clear"


def base_url_fault(home, url, **options):
    """What is wrong with a base URL, with its place."""
    path = home.write(f"[model_providers.x]\nname = 'X'\nbase_url = '{url}'\n")
    with pytest.raises(ConfigError) as caught:
        _ = home.host(**options).provider("x").base_url
    assert caught.value.exit_code == 2
    place, _, rest = str(caught.value).partition(": model_providers.x.base_url: ")
    assert place == f"{path}:3"
    return rest


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "must begin with https:// or http://"),
        ("llm.example/v1", "must begin with https:// or http://"),
        ("//llm.example/v1", "must begin with https:// or http://"),
        ("ftp://llm.example", "must begin with https:// or http://"),
        ("https://", "has no host"),
        ("https:///v1", "has no host"),
        ("https://canary@llm.example", "must not hold a user name or password"),
        ("https://user:canary@llm.example", "must not hold a user name or password"),
        ("https://llm.example/v1?key=canary", "must not hold a query; write it as query_params"),
        ("https://llm.example/v1#canary", "must not hold a fragment"),
        ("https://llm.example\\\\canary", "must not hold"),
        ("https://llm.example/a canary", "must not hold"),
        ("https://llm.example:canary", "has a port that is not a number"),
        ("https://[::canary]", "is not"),
        ("http://llm.example/v1", HTTP),
        ("http://127.evil.example", "plain http to 127.evil.example"),
    ],
)
def test_a_base_url_that_cannot_be_used(home, url, says):
    """File, line and key; nothing of what could be a secret in it."""
    said = base_url_fault(home, url)
    assert says in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://llm.example/v1/", "https://llm.example/v1"),
        ("https://LLM.example:443", "https://llm.example"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url(home, url, shown):
    """An IDN in the form it is looked up in; plain http to loopback."""
    assert str(home.provider(f"[model_providers.x]\nbase_url = '{url}'\n").base_url) == shown


def test_plain_http_has_to_be_allowed(home):
    """The hint is the line to write, and with that line it works."""
    base_url_fault(home, "http://llm.example/v1")
    with pytest.raises(ConfigError) as caught:
        _ = home.host().provider("x").base_url
    where, _, line = caught.value.hint.rpartition(": ")
    assert where == f"use https, or write under [model_providers.x] in {home.folder}/keyfob.toml"
    home.write(f"[model_providers.x]\n{line}\n", "keyfob.toml")
    assert str(home.host().provider("x").base_url) == "http://llm.example/v1"


def test_a_built_in_provider_cannot_take_that_line(home):
    """The hint does not send anybody the wrong way."""
    home.environ["CODEX_OSS_BASE_URL"] = "http://box:11434/v1"
    with pytest.raises(ConfigError) as caught:
        _ = home.provider("", "ollama").base_url
    assert caught.value.hint == "use https, or write an entry of your own, with this base_url and: allow_http = true"


def test_no_base_url(home):
    """Never api.openai.com by default, but for who signs in there."""
    path = home.write("[model_providers.x]\nenv_key = 'A'\n[model_providers.y]\nrequires_openai_auth = true\n")
    with pytest.raises(ConfigError) as caught:
        _ = home.host().provider("x").base_url
    assert str(caught.value) == f'{path}:1: model_providers.x: there is no base_url (write base_url = "https://…")'
    assert str(home.host().provider("y").base_url) == "https://api.openai.com/v1"


def test_nothing_is_read_until_it_is_needed(home):
    """Neither a host nor a provider looks at a file when it is made."""
    (home.folder / "config.toml").mkdir()
    provider = home.host().provider("x")
    assert repr(provider) == "<Provider x>"
    with pytest.raises(ConfigError):
        _ = provider.entry


def test_the_environment_is_read_when_a_credential_is_asked_for(home):
    """A key that is set later is seen, one that is taken away missed."""
    provider = home.provider("[model_providers.x]\nbase_url = 'https://x'\nenv_key = 'LAB_KEY'\n")
    with pytest.raises(MissingCredentialError, match="LAB_KEY"):
        provider.headers()
    home.environ["LAB_KEY"] = "one"
    assert provider.headers()["authorization"] == "Bearer one"
    home.environ["LAB_KEY"] = "two"
    assert provider.credential().token == "two"


def test_dotenv_lies_over_the_environment(home):
    """As in Codex; CODEX_ and KEYFOB_ apart. The environment itself stays as it is."""
    home.environ.update(LAB_KEY="env", KEYFOB_ASKING="")
    home.write("LAB_KEY=file\nKEYFOB_DISABLE_PLUGINS=1\nnonsense\n", ".env")
    host = home.host("[model_providers.x]\nbase_url = 'https://x'\nenv_key = 'LAB_KEY'\n")
    assert host.provider("x").credential().token == "file"
    assert home.environ == {"LAB_KEY": "env", "KEYFOB_ASKING": ""}
    assert [str(fault) for fault in home.warned] == [f"{home.folder}/.env:3: not NAME=VALUE; the line is skipped"]


@pytest.mark.parametrize(
    ("value", "says"),
    [("a\nb", "a line break"), ("a\0b", "a control character"), ("schlüssel", "not ASCII"), ("  ", "not set")],
)
def test_a_value_that_cannot_be_sent_names_its_variable(home, value, says):
    """And does not show it."""
    home.environ["LAB_KEY"] = value
    with pytest.raises((IllegalHeaderError, MissingCredentialError), match="LAB_KEY") as caught:
        home.provider("[model_providers.x]\nbase_url = 'https://x'\nenv_key = 'LAB_KEY'\n").headers()
    assert says in str(caught.value)
    assert value not in str(caught.value)


def test_headers_are_for_one_place(home):
    """A URL elsewhere gets none."""
    provider = home.provider(
        "[model_providers.x]\nbase_url = 'https://x.example/v1'\nexperimental_bearer_token = 's'\n"
    )
    assert "authorization" in provider.headers("https://x.example/v1/models")
    with pytest.raises(OriginError):
        provider.headers("https://y.example/v1/models")
    assert "Bearer" not in repr(provider.headers())


def test_every_provider_there_is(home, site):
    """Those of the files, in their order; those that plugins ship; the built-in ones."""
    site.install("acme", key="corp", group="keyfob.providers")
    host = home.host("[model_providers.y]\n[model_providers.x]\n")
    assert host.ids == ("y", "x", "corp", "lmstudio", "ollama", "openai", "amazon-bedrock", "amazon-bedrock-runtime")


def test_two_threads_get_one_provider_and_one_source(home):
    """Else each would run the command; a host is shared by its whole process."""
    host = home.host("[model_providers.x]\nbase_url = 'https://x'\nauth = { command = 'tok' }\n")
    start = threading.Barrier(16)
    found = []

    def ask():
        start.wait()
        provider = host.provider("x")
        found.append((provider, provider.source))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_the_processs_own_host(monkeypatch):
    """Made once; `keyfob.provider` asks it, or the host that is given."""
    monkeypatch.setattr(api, "_own", {})
    assert api.default_host() is api.default_host()
    assert keyfob.provider("x") is api.default_host().provider("x")
    other = Host({})
    assert keyfob.provider("x", host=other) is other.provider("x")


def test_what_is_ignored_is_a_warning(home):
    """Of the standard kind, where nobody else listens."""
    home.write("[model_providers.x]\nenv_keys = 'A'\n")
    with pytest.warns(ConfigWarning, match="did you mean `env_key`"):
        _ = Host({}, places=home.places).provider("x").entry
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = home.host().provider("x").entry


def test_a_host_shows_nothing_of_its_environment():
    """Its repr says where it reads, and it is not pickled; nor are its providers."""
    host = Host({"HOME": "/home/user", "LAB_KEY": "canary"})
    assert "canary" not in repr(host)
    for subject in (host, host.provider("x")):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(subject)
