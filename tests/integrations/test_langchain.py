"""LangChain's models through keyfob, as their user sees them and as the server does."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

import keyfob
from keyfob.errors import CredentialError, NotSignedInError
from keyfob.testing import fake_provider
from keyfob.testing.model_server import TEXT, Answer, ModelServer

from .seen import Library, bearers, everything

theirs = Library("langchain_openai", needs="langchain_openai")
ours = Library("keyfob.integrations.langchain", needs="langchain_openai")

CANARY = "canary-of-the-environment"


def fake(server: ModelServer, *tokens: Any) -> keyfob.Provider:
    return fake_provider("corp", tokens=tokens or ("secret-k",), base_url=server.base_url)


@pytest.mark.slow
@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
def test_a_model_answers_and_streams(server, responses):
    """Through both of OpenAI's interfaces; it is LangChain's own class, and shows no credential."""
    model = ours.ChatOpenAI(provider=fake(server), model="demo-model", use_responses_api=responses)
    assert isinstance(model, theirs.ChatOpenAI)
    assert model.invoke("hi").text == TEXT
    assert "".join(chunk.text for chunk in model.stream("hi")) == TEXT
    assert bearers(server) == ["Bearer secret-k"] * 2
    assert "secret" not in repr(model)


@pytest.mark.slow
def test_an_async_model_renews_its_credential(server):
    """After a 401, which its user does not see."""

    async def ask(base_url: str) -> str:
        model = ours.ChatOpenAI(provider=fake(refusing, "t1", "t2"), model="demo-model")
        answer = await model.ainvoke("hi")
        await model.root_async_client.close()
        return answer.text

    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer t2") as refusing:
        assert asyncio.run(ask(refusing.base_url)) == TEXT
        assert bearers(refusing) == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("tokens", [[], ["t1", CredentialError("the session has expired")]], ids=["before", "after"])
def test_an_error_is_ours_and_asked_for_once(tokens):
    """Not "Connection error." after three tries."""
    with ModelServer(accepts=lambda received: False) as server:
        provider = fake_provider("corp", tokens=tokens, base_url=server.base_url)
        with pytest.raises(CredentialError) as caught:
            ours.ChatOpenAI(provider=provider, model="demo-model").invoke("hi")
        assert str(caught.value) == ("the session has expired" if tokens else "corp: nobody is signed in")
        assert isinstance(caught.value, CredentialError if tokens else NotSignedInError)
        assert len(server.received) == len(tokens[:1])


def test_no_variable_moves_a_request_or_marks_it(server, monkeypatch):
    """Each that LangChain or the SDK reads, also in a model that LangChain makes of another."""
    with ModelServer() as elsewhere:
        for name in ("BASE_URL", "API_BASE", "PROXY"):
            monkeypatch.setenv(f"OPENAI_{name}", elsewhere.base_url)
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "ORGANIZATION", "PROJECT_ID"):
            monkeypatch.setenv(f"OPENAI_{name}", CANARY)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gate: {CANARY}")
        monkeypatch.setenv("OPENAI_API_TYPE", "azure")
        model = ours.ChatOpenAI(provider=fake(server), model="demo-model")
        field = importlib.import_module("langchain_core.runnables").ConfigurableField(id="t")
        model.invoke("hi")
        model.configurable_fields(temperature=field).with_config(configurable={"t": 0.5}).invoke("hi")
        assert elsewhere.received == []
    assert bearers(server) == ["Bearer secret-k"] * 2
    assert not any(CANARY in everything(received) for received in server.received)
    assert b'"temperature":0.5' in server.received[1].body
    assert CANARY not in str(vars(model))


def test_what_the_caller_gives_is_kept(server):
    """The names of LangChain's fields and their short forms."""
    given = {"organization": "org-1", "default_headers": {"X-Mine": "m"}, "timeout": 7, "max_retries": 5}
    model = ours.ChatOpenAI(provider=fake(server), model="demo-model", **given)
    model.invoke("hi")
    [received] = server.received
    assert [received.header(name) for name in ("openai-organization", "x-mine")] == ["org-1", "m"]
    assert (model.root_client.timeout, model.root_async_client.max_retries) == (7, 5)


def test_what_would_not_hold_is_refused(server):
    """A key, another place, a proxy that is not the client's."""
    with pytest.raises(TypeError, match=r"^api_key is given, but it is provider corp that says what the key is$"):
        ours.ChatOpenAI(provider=fake(server), model="demo-model", api_key=CANARY)
    with pytest.raises(keyfob.OriginError, match="so must base_url"):
        ours.ChatOpenAI(provider=fake(server), model="demo-model", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(TypeError, match="openai_proxy is given"):
        ours.ChatOpenAI(provider=fake(server), model="demo-model", openai_proxy="http://127.0.0.1:9")


def test_models_of_two_providers_are_two_to_langchains_caches(server):
    """Or the answer of one would be told as the other's; and none is loaded again as another class."""
    with ModelServer() as other:
        models = [ours.ChatOpenAI(provider=fake(each), model="demo-model") for each in (server, other)]
    assert len({model._get_llm_string() for model in models}) == 2
    assert not models[0].is_lc_serializable()


def test_embeddings_are_signed_too():
    """LangChain's other class for OpenAI's API."""
    answer = Answer(body={"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]})
    with ModelServer(answers={"/v1/embeddings": [answer]}) as server:
        model = ours.OpenAIEmbeddings(provider=fake(server), model="e", check_embedding_ctx_length=False)
        assert model.embed_query("hi") == [0.5]
        assert bearers(server) == ["Bearer secret-k"]
