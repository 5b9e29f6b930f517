"""pydantic-ai through keyfob, as its user sees it and as the server does."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from keyfob.errors import CredentialError
from keyfob.testing import fake_provider
from keyfob.testing.model_server import TEXT, ModelServer

from .seen import Library, bearers, everything

pydantic_ai = Library("pydantic_ai", needs="pydantic_ai")
models = Library("pydantic_ai.models.openai", needs="pydantic_ai")
ours = Library("keyfob.integrations.pydantic_ai", needs="pydantic_ai")

CANARY = "canary-of-the-environment"
KINDS = pytest.mark.parametrize("kind", ["OpenAIChatModel", "OpenAIResponsesModel"])


async def ask(kind: str, provider: Any) -> Any:
    """One run of an agent that closes what it opened."""
    async with pydantic_ai.Agent(getattr(models, kind)("demo-model", provider=provider)) as agent:
        return await agent.run("hi")


@pytest.mark.slow
@KINDS
def test_an_agent_answers_and_its_credential_is_renewed(kind):
    """After a 401, which its user does not see. The answer is recorded under the provider's id."""
    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer t2") as server:
        result = asyncio.run(
            ask(kind, ours.KeyfobProvider(fake_provider("corp", tokens=["t1", "t2"], base_url=server.base_url)))
        )
        assert result.output == TEXT
        assert result.all_messages()[-1].provider_name == "corp"
        assert bearers(server) == ["Bearer t1", "Bearer t2"]


def test_an_agent_outlives_its_event_loop(server):
    """Scripts call asyncio.run for each question: connections of the loop before are of no use."""
    provider = ours.KeyfobProvider(fake_provider(base_url=server.base_url))
    assert [asyncio.run(ask("OpenAIChatModel", provider)).output for _ in range(2)] == [TEXT] * 2
    assert bearers(server) == ["Bearer fake-token"] * 2


@KINDS
@pytest.mark.parametrize("tokens", [[], ["t1", CredentialError("the session has expired")]], ids=["before", "after"])
def test_an_error_is_ours_and_asked_for_once(kind, tokens):
    """Not a ModelAPIError "Connection error." after three tries."""
    with ModelServer(accepts=lambda received: False) as server:
        provider = ours.KeyfobProvider(fake_provider("corp", tokens=tokens, base_url=server.base_url))
        with pytest.raises(CredentialError) as caught:
            asyncio.run(ask(kind, provider))
        assert str(caught.value) == ("the session has expired" if tokens else "corp: nobody is signed in")
        assert len(server.received) == len(tokens[:1])


def test_no_variable_moves_a_request_or_marks_it(server, monkeypatch):
    """Each that the SDK reads."""
    with ModelServer() as elsewhere:
        monkeypatch.setenv("OPENAI_BASE_URL", elsewhere.base_url)
        for name in ("API_KEY", "ORG_ID", "PROJECT_ID"):
            monkeypatch.setenv(f"OPENAI_{name}", CANARY)
        asyncio.run(ask("OpenAIChatModel", ours.KeyfobProvider(fake_provider(base_url=server.base_url))))
        assert elsewhere.received == []
    assert not any(CANARY in everything(received) for received in server.received)


@pytest.mark.slow
def test_a_client_of_the_users_own_carries_the_requests_and_stays_open(server):
    """Its settings hold; who made it closes it."""
    library = importlib.import_module("httpx2")

    async def run() -> None:
        async with library.AsyncClient(timeout=7) as own:
            provider = ours.KeyfobProvider(fake_provider(base_url=server.base_url), http_client=own)
            await ask("OpenAIChatModel", provider)
            assert not own.is_closed
            assert provider.client.timeout == library.Timeout(7)

    asyncio.run(run())
    assert bearers(server) == ["Bearer fake-token"]
