"""LiteLLM's proxy in front of a model server, reached through an `env_key` entry: what its users see of a key."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import keyfob
from keyfob.config.places import Places
from keyfob.errors import MissingCredentialError
from keyfob.testing.model_server import TEXT

from . import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyfob.testing.model_server import ModelServer, Received

    from .conftest import Proxy

ASK = {"model": parts.PROXY_MODEL, "input": "hi"}
ENV_KEY = 'env_key="PROXY_KEY"'


@pytest.fixture
def provider(tmp_path: Path) -> Callable[..., keyfob.Provider]:
    """Makes the provider `proxy` from settings and the variables of its environment."""

    def make(base_url: str, *settings: str, **environ: str) -> keyfob.Provider:
        overrides = [f"model_providers.proxy.{each}" for each in (f'base_url="{base_url}"', *settings)]
        places = Places(str(tmp_path), system=str(tmp_path / "system"), cache=str(tmp_path / "cache"))
        return keyfob.Host(environ, overrides=overrides, places=places).provider("proxy")

    return make


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Runs `keyfob check --json` for providers that differ in their key alone; provider → what was found."""

    def checked(base_url: str, **keys: str | None) -> dict[str, str]:
        (tmp_path / "config.toml").write_text("".join(_entry(base_url, *each) for each in keys.items()))
        variables = {f"KEY_{name}": key for name, key in keys.items() if key is not None}
        ended = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "keyfob"), "check", "--json"],
            env={**parts.offline_environ(str(tmp_path)), "CODEX_HOME": str(tmp_path), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.stderr == ""
        assert not any(key in ended.stdout for key in variables.values() if key)
        found = json.loads(ended.stdout)["providers"]
        return {one["provider"]: f"{one['credential']}: {one['problem'] or 'ok'}" for one in found}

    return checked


def _entry(base_url: str, name: str, key: str | None) -> str:
    env_key = "" if key is None else f'env_key = "KEY_{name}"\n'
    return f'[model_providers.{name}]\nbase_url = "{base_url}"\n{env_key}'


@pytest.fixture
def openai_client() -> Iterator[Callable[..., Any]]:
    """Makes OpenAI clients that do not retry."""
    from keyfob.integrations.openai import OpenAI

    with contextlib.ExitStack() as stack:
        yield lambda provider: stack.enter_context(OpenAI(provider=provider, max_retries=0))


@pytest.fixture
def upstream_saw(litellm: Proxy) -> Callable[[], list[Received]]:
    """What the model server behind the proxy received in this test."""
    return _since_now(litellm.upstream)


def _since_now(server: ModelServer) -> Callable[[], list[Received]]:
    seen = len(server.received)
    return lambda: server.received[seen:]


# A right key


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_our_clients_stream_through_the_proxy(litellm, provider, upstream_saw, library):
    """Events of a chat; the proxy takes our key and sends its own on."""
    body = {"model": parts.PROXY_MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    corp = provider(litellm.base_url, ENV_KEY, PROXY_KEY=litellm.key)
    with (
        getattr(keyfob, library).Client(corp) as client,
        client.stream("POST", "chat/completions", json=body) as response,
    ):
        assert response.status_code == 200
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    chunks = [json.loads(line)["choices"][0]["delta"] for line in lines[:-1]]
    assert "".join(chunk.get("content") or "" for chunk in chunks) == TEXT
    assert lines[-1] == "[DONE]"
    assert [received.header("authorization") for received in upstream_saw()] == [f"Bearer {parts.UPSTREAM_KEY}"]


def test_the_openai_sdk_streams_through_the_proxy(litellm, provider, openai_client, upstream_saw):
    """Events of the Responses API, as the SDK's objects."""
    client = openai_client(provider(litellm.base_url, ENV_KEY, PROXY_KEY=litellm.key))
    with client.responses.create(**ASK, stream=True) as stream:
        events = list(stream)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert events[-1].type == "response.completed"
    assert len(upstream_saw()) == 1


# A wrong key, and none


def test_a_wrong_key_is_the_proxys_401_after_one_request(litellm, provider, openai_client, upstream_saw):
    """keyfob has no other key to try; the SDK's error repeats the proxy's sentence."""
    import openai

    wrong = provider(litellm.base_url, ENV_KEY, PROXY_KEY="wrong")
    with keyfob.httpx.Client(wrong) as client:
        refused = client.post("responses", json=ASK)
    assert (refused.status_code, refused.json()["error"]["message"]) == (401, "Unknown key.")
    with pytest.raises(openai.AuthenticationError, match="Unknown key"):
        openai_client(wrong).responses.create(**ASK)
    assert upstream_saw() == []


def test_a_missing_key_is_keyfobs_error_before_the_proxy_hears_of_it(litellm, provider, openai_client, upstream_saw):
    """The sentence names the variable, the hint is a command."""
    missing = provider(litellm.base_url, ENV_KEY, 'env_key_instructions="ask the platform team"')
    clients = keyfob.httpx.Client(missing), keyfob.httpx2.Client(missing)
    asks = [*(lambda client=each: client.get("models") for each in clients), openai_client(missing).models.list]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
        for ask in asks:
            with pytest.raises(MissingCredentialError) as caught:
                ask()
            assert str(caught.value) == "environment variable PROXY_KEY is not set: ask the platform team"
            assert caught.value.hint == "export PROXY_KEY=…, or keyfob login proxy --with-api-key"
    assert upstream_saw() == []


def test_check_tells_the_keys_apart(litellm, checked):
    """Right, wrong, empty, and an entry that names no key."""
    assert checked(litellm.base_url, right=litellm.key, wrong="wrong-key", empty="", none=None) == {
        "right": "accepted: ok",
        "wrong": "refused: answered 401 Unauthorized, auth_error",
        "empty": "missing: environment variable KEY_empty is not set",
        "none": "missing: answered 401 Unauthorized, auth_error",
    }


# Master-key mode without a database: LiteLLM looks for every other key in the database that it does not have, and says
# 400 or 500 where it means 401. keyfob takes no status but 401 for a refusal, so it shows these as what they are:
# answers of the server, with its own words, after one request.


def test_the_master_key_is_accepted_without_a_database(litellm_without_database, provider):
    """It is compared, not looked up."""
    proxy = litellm_without_database
    with keyfob.httpx.Client(provider(proxy.base_url, ENV_KEY, PROXY_KEY=proxy.key)) as client:
        assert client.get("models").status_code == 200


def test_without_a_database_a_wrong_key_is_shown_as_the_400_it_is(
    litellm_without_database, provider, openai_client, tmp_path
):
    """The proxy's "No connected db." reaches the user, and the token command is not run again."""
    import openai

    runs = tmp_path / "runs"
    program = "import sys; open(sys.argv[1], 'a').write('x'); print('sk-wrong')"
    auth = f"auth={{command={json.dumps(sys.executable)}, args={json.dumps(['-I', '-c', program, str(runs)])}}}"
    wrong = provider(litellm_without_database.base_url, auth)
    with pytest.raises(openai.BadRequestError, match="No connected db"):
        openai_client(wrong).responses.create(**ASK)
    assert runs.read_text() == "x"


def test_without_a_database_no_key_is_shown_as_the_500_it_is(litellm_without_database, provider, openai_client):
    """Only an entry without auth gets that far: where a key is configured, keyfob asks for it first."""
    import openai

    with pytest.raises(openai.InternalServerError, match="500"):
        openai_client(provider(litellm_without_database.base_url)).responses.create(**ASK)
    with pytest.raises(MissingCredentialError):
        openai_client(provider(litellm_without_database.base_url, ENV_KEY)).responses.create(**ASK)


def test_check_says_what_a_proxy_without_a_database_means(litellm_without_database, checked):
    """Whether the key is right cannot be told from 400 and 500; where it is known what the 400 means, it is said."""
    proxy = litellm_without_database
    assert checked(proxy.base_url, right=proxy.key, wrong="sk-wrong-key", none=None) == {
        "right": "accepted: ok",
        "wrong": "unclear: answered 400 Bad Request, no_db_connection"
        " (a LiteLLM proxy without a database says so of a key that it does not know)",
        "none": "unclear: answered 500 Internal Server Error",
    }
