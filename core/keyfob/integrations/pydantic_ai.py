"""pydantic-ai, 2.64 and later, with the credentials of a provider.

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from keyfob.integrations.pydantic_ai import KeyfobProvider
Agent(OpenAIResponsesModel("demo", provider=KeyfobProvider("corp"))).run_sync("hi")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.api import resolved
from keyfob.stores.choice import SHARED

try:
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
except ImportError as error:  # theirs, if OpenAI's SDK is missing; an older one has no such provider
    needed = "keyfob.integrations.pydantic_ai needs pydantic-ai: pip install 'pydantic-ai-slim[openai]>=2.64'"
    raise ImportError(needed) from error

from keyfob.integrations.openai import AsyncOpenAI

if TYPE_CHECKING:
    from keyfob.host import Host
    from keyfob.providers import Provider

__all__ = ["KeyfobProvider"]


class KeyfobProvider(OpenAICompatibleProvider):
    """A provider of pydantic-ai's that is one of keyfob's, for `OpenAIResponsesModel` and `OpenAIChatModel`.

    Its name, which pydantic-ai records in the history of messages, is the id of the entry. provider: an id, a Provider,
    or None for the default one of `host`. http_client: one of the HTTP library of OpenAI's SDK. options: the others of
    `OpenAICompatibleProvider`, such as `profile`; for OpenAI's own login that is OpenAI's. Raises what
    `keyfob.integrations.openai.AsyncOpenAI` raises; so do requests.
    """

    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        host: Host | None = None,
        http_client: Any = None,
        **options: Any,
    ) -> None:
        found = resolved(provider, host)
        client = AsyncOpenAI(provider=found, http_client=http_client)
        if found.plugin == SHARED:
            options.setdefault("profile", OpenAIProvider.model_profile)
        super().__init__(found.id, openai_client=client, **options)
        if http_client is None:  # pydantic-ai closes it, and makes a new one for another event loop
            self._own_http_client = client._client
            self._http_client_factory = lambda: AsyncOpenAI(provider=found)._client
