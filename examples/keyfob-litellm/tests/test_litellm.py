"""The provider that is there without an entry, what a user may override of it, and the real proxy behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import keyfob
import keyfob_litellm
import pytest
from keyfob.config.places import Places
from keyfob.errors import ConfigError, MissingCredentialError
from keyfob.testing import ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.fixture
def litellm(tmp_path: Path) -> Callable[..., keyfob.Provider]:
    """The default provider of a user whose config.toml chooses `litellm` and says no more of it than `entry`."""

    def litellm(entry: str = "", **environ: str) -> keyfob.Provider:
        (tmp_path / "config.toml").write_text('model_provider = "litellm"\n')
        (tmp_path / "keyfob.toml").write_text(f"[model_providers.litellm]\n{entry}" if entry else "")
        places = Places(str(tmp_path), system=str(tmp_path / "system"), cache=str(tmp_path / "cache"))
        return keyfob.Host(environ, places=places).provider()

    return litellm


def chat(provider: keyfob.Provider) -> str:
    """What the model says, as it streams."""
    with keyfob.httpx.Client(provider) as client, client.stream("POST", "chat/completions", json=CHAT) as response:
        assert response.status_code == 200, response.read()
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    return "".join(json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines[:-1])


# The real proxy


def test_it_is_ready_with_a_key_alone(proxy, litellm):
    """No entry: the proxy takes the key, streams, and is told what the plugin ships."""
    assert chat(litellm(LITELLM_API_KEY=proxy.key)) == proxy.upstream.text
    sent_on = proxy.upstream.received[-1]
    assert sent_on.header("authorization") == "Bearer upstream-key"
    assert (sent_on.header("x-litellm-tags"), sent_on.header("x-litellm-timeout")) == ("keyfob", "600")


def test_a_header_is_overridden_and_the_others_stay(proxy, litellm):
    """Key by key, in the table too; a variable's value is as good."""
    entry = 'http_headers = { x-litellm-tags = "search" }\nenv_http_headers = { x-team = "TEAM" }\n'
    assert chat(litellm(entry, LITELLM_API_KEY=proxy.key, TEAM="blue")) == proxy.upstream.text
    sent_on = proxy.upstream.received[-1]
    headers = [sent_on.header(name) for name in ("x-litellm-tags", "x-litellm-timeout", "x-team")]
    assert headers == ["search", "600", "blue"]


def test_a_wrong_key_is_the_proxys_401(proxy, litellm):
    """After one request, with the proxy's own words."""
    before = len(proxy.upstream.received)
    with keyfob.httpx.Client(litellm(LITELLM_API_KEY="sk-wrong")) as client:
        response = client.post("chat/completions", json=CHAT)
    assert (response.status_code, response.json()["error"]["message"]) == (401, "Unknown key.")
    assert len(proxy.upstream.received) == before


# What counts


def test_who_has_no_key_is_told_where_to_make_one(litellm):
    """Nothing is sent."""
    with pytest.raises(MissingCredentialError, match=f"LITELLM_API_KEY is not set: .*{keyfob_litellm.KEYS}"):
        litellm().headers()


def test_explain_says_what_the_plugin_ships(litellm, tmp_path):
    """Each key of it, and which of them the user's file overrules."""
    found = litellm('name = "Ours"\nhttp_headers = { x-litellm-tags = "search" }\n').explain()
    assert (found.provider, found.default, found.faults) == ("litellm", True, ())
    assert found.base_url == keyfob_litellm.BASE_URL
    shipped = {each.key: each.wins for each in found.settings if each.place == "plugin keyfob-litellm 0.1.0"}
    assert {key for key, wins in shipped.items() if not wins} == {"name", "http_headers.x-litellm-tags"}
    assert shipped["base_url"]
    assert shipped["http_headers.x-litellm-timeout"]


def test_the_shipped_key_does_not_go_to_another_address(litellm):
    """Who writes a base URL also says how to authenticate there."""
    with ModelServer() as elsewhere:
        moved = litellm(f'base_url = "{elsewhere.base_url}"\n', LITELLM_API_KEY="sk-canary")
        with keyfob.httpx.Client(moved) as client:
            client.get("models")
    assert elsewhere.received[0].header("authorization") is None
    assert elsewhere.received[0].header("x-litellm-tags") is None


@pytest.mark.parametrize("own", ['env_key = "MINE"', 'http_headers = { Authorization = "Bearer sk-canary" }'])
def test_a_key_of_the_users_own_does_not_go_to_the_shipped_address(litellm, own):
    """The error says whose address is not taken, and why."""
    with pytest.raises(ConfigError, match=r"there is no base_url .*that of keyfob-litellm 0\.1\.0 is not for an entry"):
        litellm(own, MINE="sk-canary").headers()
