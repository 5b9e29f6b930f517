"""OpenAI's SDK through keyfob, as its user sees it and as the server does.

Written for SDK 3.x and 2.x alike: tests/e2e/test_openai2.py runs this file where 2.x is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import importlib
import json
import pickle
import subprocess
import sys
import traceback
from typing import Any, Final

import pytest

import keyfob
from keyfob.errors import CommandError, MissingCredentialError
from keyfob.plugin import NoOptions, SigningAuth, SigningKey, Unsigned
from keyfob.testing.hosts import GivenHost, plugins_of
from keyfob.testing.model_server import TEXT, Answer, ModelServer

from .seen import bearers, everything

openai = pytest.importorskip("openai", reason="OpenAI's SDK is missing: pip install 'openai>=2.34'")
integration: Any = importlib.import_module("keyfob.integrations.openai")
OpenAI, AsyncOpenAI = integration.OpenAI, integration.AsyncOpenAI

LIBRARY: Final = importlib.import_module("httpx2" if openai.__version__ >= "3" else "httpx")
ASK: Final = {"model": "demo-model", "input": "hi"}
CANARY: Final = "canary-of-the-environment"


# It is the SDK, and it is signed


def test_it_is_the_sdks_own_class(server, host):
    """Code that asks for an `openai.OpenAI` takes ours."""
    with OpenAI(provider="corp", host=host(server.base_url)) as client:
        assert isinstance(client, openai.OpenAI)
        assert str(client.base_url) == f"{server.base_url}/"
        assert client.timeout == openai.DEFAULT_TIMEOUT
        assert client.max_retries == openai.DEFAULT_MAX_RETRIES


def test_a_request_carries_what_the_entry_says(server, host):
    """Key, header and query parameter, on one request."""
    lines = 'env_key = "LAB_KEY"', 'http_headers = { X-Team = "search" }', 'query_params = { v = "1" }'
    with OpenAI(provider="corp", host=host(server.base_url, *lines, LAB_KEY="key-of-the-lab")) as client:
        assert client.responses.create(**ASK).output_text == TEXT
    [received] = server.received
    assert received.header_list("authorization") == ["Bearer key-of-the-lab"]
    assert received.header("x-team") == "search"
    assert (received.path, received.query) == ("/v1/responses", "v=1")


def test_a_provider_may_be_given_or_left_out(server, host):
    """The default provider of the host, and a Provider that the caller holds."""
    made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
    for given in ({"host": made}, {"provider": keyfob.provider("corp", host=made)}):
        with OpenAI(**given) as client:
            client.models.list()
    assert bearers(server) == ["Bearer key-of-the-lab"] * 2


class Digest(SigningAuth[NoOptions]):
    """Signs the body."""

    key = "digest"

    def signing_key(self, provider: Any, options: NoOptions, context: Any) -> SigningKey:
        return SigningKey(b"canary-key")

    def sign(self, request: Unsigned, key: SigningKey, options: NoOptions, context: Any) -> dict[str, str]:
        return {"Authorization": hmac.new(key.secret, request.body, "sha256").hexdigest()}


def test_a_plugin_may_sign_what_the_sdk_asks(server):
    """Whole or streamed; what the SDK makes of its own key is not sent."""
    entry = {"base_url": server.base_url, "digest": {}}
    signing = GivenHost({"model_providers": {"corp": entry}}, {}, plugins=plugins_of(Digest()))
    with OpenAI(provider="corp", host=signing) as client:
        assert client.responses.create(**ASK).output_text == TEXT
        with client.responses.create(**ASK, stream=True) as stream:
            assert [event.type for event in stream][-1] == "response.completed"
    signed = [hmac.new(b"canary-key", each.body, "sha256").hexdigest() for each in server.received]
    assert [each.header_list("authorization") for each in server.received] == [[each] for each in signed]


def test_the_sdk_holds_no_credential(server, host):
    """What reads the SDK's own attributes, a logger or a debugger, finds no secret."""
    with OpenAI(provider="corp", host=host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")) as client:
        client.models.list()
        assert "key-of-the-lab" not in f"{vars(client)} {client.default_headers} {client.auth_headers}"


def test_an_answer_is_streamed_as_it_arrives(host):
    """The first words are there while the server still holds back the last."""
    with ModelServer(answers={"responses": [Answer(hang=True, after=6)]}) as server:
        made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
        with OpenAI(provider="corp", host=made) as client, client.responses.create(**ASK, stream=True) as stream:
            words = (event.delta for event in stream if event.type == "response.output_text.delta")
            assert TEXT.startswith(next(words) + next(words))
        assert bearers(server) == ["Bearer key-of-the-lab"]


def test_an_async_client_streams_too(server, host):
    """The async class, from the first event to the last."""

    async def ask() -> str:
        made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
        async with AsyncOpenAI(provider="corp", host=made) as client:
            assert isinstance(client, openai.AsyncOpenAI)
            stream = await client.responses.create(**ASK, stream=True)
            return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    assert asyncio.run(ask()) == TEXT
    assert bearers(server) == ["Bearer key-of-the-lab"]


def test_an_async_client_does_not_block_the_event_loop(server, host, tmp_path):
    """The command waits for a file that only another task of the same loop makes."""
    file = tmp_path / "go"
    waiting = "import os, sys, time\nfor _ in range(400):\n  os.path.exists(sys.argv[1]) and (print('t'), exit())\n"
    args = ["-I", "-c", f"{waiting}  time.sleep(.01)\nexit(1)", str(file)]

    async def ask() -> None:
        made = host(server.base_url, f"auth = {{ command = '{sys.executable}', args = {json.dumps(args)} }}")
        async with AsyncOpenAI(provider="corp", host=made) as client:
            request = asyncio.create_task(client.models.list()._get_page())
            await asyncio.sleep(0)
            file.touch()
            await request

    asyncio.run(ask())
    assert bearers(server) == ["Bearer t"]


def test_a_copy_is_signed_and_bound_like_the_original(server, host):
    """`with_options`, which people use for a single request. It shares the original's connections."""
    with OpenAI(provider="corp", host=host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")) as client:
        copy = client.with_options(timeout=7, max_retries=0)
        copy.models.list()
        assert (copy.timeout, copy.max_retries) == (7, 0)
        assert copy._client is client._client
        with pytest.raises(keyfob.OriginError, match="goes to"):
            client.copy(base_url="http://127.0.0.1:9/v1")
    assert bearers(server) == ["Bearer key-of-the-lab"]


@pytest.mark.slow
def test_the_admin_part_of_the_api_is_signed_too(server, host, monkeypatch):
    """There the SDK looks for another key, and takes it from OPENAI_ADMIN_KEY."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", CANARY)
    made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
    with OpenAI(provider="corp", host=made) as client, pytest.raises(openai.NotFoundError):
        client.admin.organization.admin_api_keys.list()
    assert bearers(server) == ["Bearer key-of-the-lab"]


# 401


@pytest.mark.slow
def test_a_401_renews_the_credential_and_the_caller_sees_the_answer(host, counting):
    """The command is run again, once; the SDK hears nothing of it."""
    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer token-2") as server:
        with OpenAI(provider="corp", host=host(server.base_url, counting(9))) as client:
            assert client.responses.create(**ASK).output_text == TEXT
        assert bearers(server) == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.slow
def test_a_401_renews_the_credential_of_an_async_stream(host, counting):
    """The same, async and streaming."""

    async def ask(base_url: str) -> list[str]:
        async with AsyncOpenAI(provider="corp", host=host(base_url, counting(9))) as client:
            return [event.type async for event in await client.responses.create(**ASK, stream=True)]

    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer token-2") as server:
        assert asyncio.run(ask(server.base_url))[-1] == "response.completed"
        assert bearers(server) == ["Bearer token-1", "Bearer token-2"]


def test_a_key_that_stays_refused_is_the_sdks_own_error(host):
    """Nothing to renew: the server's 401, as the SDK reports it, after one request."""
    with ModelServer(accepts=lambda received: False) as server:
        made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="wrong")
        with OpenAI(provider="corp", host=made) as client, pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        assert caught.value.status_code == 401
        assert len(server.received) == 1


@pytest.mark.slow
def test_a_command_that_fails_after_a_401_is_our_error_with_its_reason(host, counting):
    """Not the SDK's "Connection error.", and not three requests."""
    with ModelServer(accepts=lambda received: False) as server:
        made = host(server.base_url, counting(1))
        with OpenAI(provider="corp", host=made) as client, pytest.raises(CommandError) as caught:
            client.models.list()
        assert str(caught.value).endswith("exited with status 1: the session has expired")
        assert bearers(server) == ["Bearer token-1"]


# Errors, as the user reads them


def test_a_missing_variable_is_our_error_and_nothing_is_sent(server, host):
    """Raised once; it is an error of the SDK's as well, for programs that catch those."""
    made = host(server.base_url, 'env_key = "LAB_KEY"')
    with OpenAI(provider="corp", host=made) as client, pytest.raises(MissingCredentialError) as caught:
        client.responses.create(**ASK)
    assert str(caught.value) == "environment variable LAB_KEY is not set"
    assert (caught.value.code, caught.value.hint) == (
        "missing-credential",
        "export LAB_KEY=…, or keyfob login corp --with-api-key",
    )
    assert isinstance(caught.value, openai.OpenAIError)
    assert server.received == []


def test_an_async_client_raises_the_same(server, host):
    """The error comes out of the await, not out of a task or of a thread."""

    async def ask() -> None:
        async with AsyncOpenAI(provider="corp", host=host(server.base_url, 'env_key = "LAB_KEY"')) as client:
            await client.responses.create(**ASK, stream=True)

    with pytest.raises(MissingCredentialError, match="LAB_KEY is not set"):
        asyncio.run(ask())
    assert server.received == []


def test_the_traceback_shows_the_error_once(server, host):
    """No "During handling of the above exception", no second name for it."""
    made = host(server.base_url, 'env_key = "LAB_KEY"')
    with OpenAI(provider="corp", host=made) as client, pytest.raises(MissingCredentialError) as caught:
        client.models.list()
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 1
    assert shown.endswith("\nkeyfob.errors.MissingCredentialError: environment variable LAB_KEY is not set\n")


def test_an_error_can_be_sent_to_another_process(server, host):
    """A worker's error reaches its parent as the class that keyfob documents."""
    made = host(server.base_url, 'env_key = "LAB_KEY"')
    with OpenAI(provider="corp", host=made) as client, pytest.raises(MissingCredentialError) as caught:
        client.models.list()
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (type(sent), str(sent), sent.hint) == (MissingCredentialError, str(caught.value), caught.value.hint)


def test_two_errors_of_one_kind_are_of_one_class(server, host):
    """Whoever groups errors does so by their type."""
    made, classes = host(server.base_url, 'env_key = "LAB_KEY"'), []
    with OpenAI(provider="corp", host=made) as client:
        for _ in range(2):
            with pytest.raises(MissingCredentialError) as caught:
                client.models.list()
            classes.append(type(caught.value))
    assert classes[0] is classes[1]


def test_a_server_that_is_gone_is_still_the_sdks_error(server, host):
    """Only our own errors are ours."""
    server.stop()
    made = host(server.base_url)
    with OpenAI(provider="corp", host=made, max_retries=0) as client, pytest.raises(openai.APIConnectionError):
        client.models.list()


def test_an_unknown_provider_is_told_when_the_client_is_made(server, host):
    """With what was probably meant."""
    with pytest.raises(keyfob.ConfigError, match="there is no provider 'crop'") as caught:
        OpenAI(provider="crop", host=host(server.base_url))
    assert caught.value.hint == "did you mean `corp`?"


@pytest.mark.parametrize("name", ["api_key", "admin_api_key"])
def test_a_key_beside_a_provider_is_refused(server, host, name):
    """Either would have to be ignored, and nobody could tell which."""
    with pytest.raises(TypeError, match=f"^{name} is given, but it is provider corp that says what the key is$"):
        OpenAI(provider="corp", host=host(server.base_url), **{name: CANARY})


@pytest.mark.slow
def test_without_the_sdk_the_error_says_what_to_install():
    """Once, at the import."""
    program = "import sys; sys.modules['openai'] = None; import keyfob.integrations.openai"
    ended = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=30)
    assert ended.stderr.endswith("keyfob.integrations.openai needs OpenAI's SDK: pip install 'openai>=2.34'\n")


# Where things go


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["the usual client", "a client of the user's own"])
def test_a_redirect_to_another_origin_takes_nothing_along(server, host, own):
    """Neither Authorization, nor a secret in a header of another name, nor a query parameter."""
    given = {"http_client": LIBRARY.Client(follow_redirects=True)} if own else {}
    with ModelServer(answers={"responses": [Answer(307, {"Location": f"{server.base_url}/responses"})]}) as first:
        lines = 'env_key = "LAB_KEY"', 'env_http_headers = { X-Key = "TEAM_KEY" }', 'query_params = { k = "secret-q" }'
        made = host(first.base_url, *lines, LAB_KEY="secret-k", TEAM_KEY="secret-t")
        with OpenAI(provider="corp", host=made, **given) as client:
            assert client.responses.create(**ASK).output_text == TEXT
        assert all(secret in everything(first.received[0]) for secret in ("secret-k", "secret-t", "secret-q"))
    [redirected] = server.received
    assert redirected.method == "POST"
    assert "secret" not in everything(redirected)


def test_an_absolute_url_to_another_origin_is_sent_without_anything_of_the_provider(server, host):
    """The SDK would put its key on it; ours is only a placeholder."""
    with ModelServer() as other:
        made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
        with OpenAI(provider="corp", host=made) as client:
            client.get(f"{other.base_url}/models", cast_to=object)
        assert "key-of-the-lab" not in everything(other.received[0])


@pytest.mark.parametrize("auth", ["", 'env_key = "LAB_KEY"'], ids=["no auth", "env_key"])
def test_openais_variables_neither_move_a_request_nor_mark_it(server, host, monkeypatch, auth):
    """Each variable that the SDK reads, in the client and in its copies."""
    with ModelServer() as elsewhere:
        monkeypatch.setenv("OPENAI_BASE_URL", elsewhere.base_url)
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "WEBHOOK_SECRET"):
            monkeypatch.setenv(f"OPENAI_{name}", CANARY)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gate: {CANARY}\nAuthorization: Bearer {CANARY}")
        made = host(server.base_url, auth, LAB_KEY="key-of-the-lab")
        with OpenAI(provider="corp", host=made) as client:
            client.responses.create(**ASK)
            client.with_options(timeout=5).responses.create(**ASK)
        assert elsewhere.received == []
    assert bearers(server) == ["Bearer key-of-the-lab" if auth else None] * 2
    assert not any(CANARY in everything(received) for received in server.received)


def test_what_the_caller_gives_is_kept(server, host):
    """The environment is dropped, not the caller's own organization and headers."""
    given = {"organization": "org-1", "project": "proj-1", "default_headers": {"X-Mine": "m"}}
    with OpenAI(provider="corp", host=host(server.base_url), **given) as client:
        client.with_options(timeout=5).models.list()
    [received] = server.received
    names = "openai-organization", "openai-project", "x-mine"
    assert [received.header(name) for name in names] == ["org-1", "proj-1", "m"]


# A client that nobody closes, and one of the user's own


@pytest.mark.slow
def test_a_client_that_is_not_closed_leaves_no_warning(server, host):
    """As with the SDK's own: `OpenAI(...).models.list()` is how it is used."""
    OpenAI(provider="corp", host=host(server.base_url)).models.list()
    gc.collect()  # pytest makes an error of what is said here


@pytest.mark.slow
def test_a_client_of_the_users_own_carries_the_requests(server, host):
    """Its connections and settings are used; what signs and guards is ours."""
    carried: list[Any] = []
    own = LIBRARY.Client(event_hooks={"request": [carried.append]}, timeout=9, auth=("user", "password"))
    made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
    with OpenAI(provider="corp", host=made, http_client=own) as client:
        assert client.timeout == LIBRARY.Timeout(9)
        assert client.responses.create(**ASK).output_text == TEXT
    assert [request.url.path for request in carried] == ["/v1/responses"]
    assert bearers(server) == ["Bearer key-of-the-lab"]
    assert own.is_closed


@pytest.mark.slow
def test_a_client_of_the_users_own_is_not_closed_behind_their_back(server, host):
    """It may outlive many of the SDK's."""
    with LIBRARY.Client() as own:
        OpenAI(provider="corp", host=host(server.base_url), http_client=own).models.list()
        gc.collect()
        assert not own.is_closed


@pytest.mark.slow
def test_a_copy_outlives_the_original(server, host):
    """`OpenAI(...).with_options(...)` in one line: nothing else holds the original."""
    copy = OpenAI(provider="corp", host=host(server.base_url)).with_options(timeout=5)
    gc.collect()
    with copy:
        assert copy.models.list().data


@pytest.mark.slow
def test_an_async_client_of_the_users_own_carries_the_requests(server, host):
    """The same for the async class, streaming."""
    carried: list[Any] = []

    async def note(request: Any) -> None:
        carried.append(request)

    async def ask() -> list[str]:
        own = LIBRARY.AsyncClient(event_hooks={"request": [note]})
        made = host(server.base_url, 'env_key = "LAB_KEY"', LAB_KEY="key-of-the-lab")
        async with AsyncOpenAI(provider="corp", host=made, http_client=own) as client:
            return [event.type async for event in await client.responses.create(**ASK, stream=True)]

    assert asyncio.run(ask())[-1] == "response.completed"
    assert len(carried) == 1
    assert bearers(server) == ["Bearer key-of-the-lab"]


def test_a_client_of_the_other_http_library_is_refused(server, host):
    """When the client is made, in a sentence that says which one is needed."""
    needed = f"http_client must be an {LIBRARY.__name__}.Client, as OpenAI's SDK {openai.__version__} uses"
    own = _other_librarys_client()
    with own, pytest.raises(TypeError) as caught:
        OpenAI(provider="corp", host=host(server.base_url), http_client=own)
    assert str(caught.value) == f"{needed}, not an {type(own).__module__}.Client"


def test_an_async_client_for_the_sync_class_is_refused(server, host):
    """And the reverse."""
    with LIBRARY.Client() as own, pytest.raises(TypeError, match=rf"must be an {LIBRARY.__name__}\.AsyncClient"):
        AsyncOpenAI(provider="corp", host=host(server.base_url), http_client=own)


def _other_librarys_client() -> Any:
    """A client of the library that this SDK is not built on; where that is not installed, something of that name."""
    try:
        return importlib.import_module("httpx" if LIBRARY.__name__ == "httpx2" else "httpx2").Client()
    except ModuleNotFoundError:
        return type("Client", (contextlib.nullcontext,), {})()
