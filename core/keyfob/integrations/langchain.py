"""LangChain's models for OpenAI's API (langchain-openai 1.0 and later), with the credentials of a provider.

    from keyfob.integrations.langchain import ChatOpenAI
    ChatOpenAI(provider="corp", model="demo").invoke("hi")

The classes are LangChain's own, on clients of `keyfob.integrations.openai`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, model_validator

from keyfob.api import resolved

try:
    import langchain_openai
except ModuleNotFoundError as error:
    needed = "keyfob.integrations.langchain needs langchain-openai: pip install 'langchain-openai>=1'"
    raise ImportError(needed) from error

from keyfob.integrations.openai import AsyncOpenAI, OpenAI

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ChatOpenAI", "OpenAIEmbeddings"]

# LangChain's fields that say what clients are made with, and what OpenAI's SDK calls them.
_FIELDS = {
    "openai_api_key": "api_key",
    "openai_api_base": "base_url",
    "openai_organization": "organization",
    "request_timeout": "timeout",
    "max_retries": "max_retries",
    "default_headers": "default_headers",
    "default_query": "default_query",
}
_OF_ENVIRONMENT = ("openai_api_key", "openai_api_base", "openai_organization", "openai_proxy")


class _Signed(BaseModel):
    """What the models have in common.

    LangChain makes the clients in `validate_environment`, of fields and of OPENAI_* variables; this takes its place.
    """

    provider: Any = Field(default=None, exclude=True, repr=False)
    host: Any = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="after")
    def validate_environment(self) -> Self:
        """Make the clients, of what the caller gave alone."""
        self.provider = resolved(self.provider, self.host)
        for name in _OF_ENVIRONMENT:
            if name not in self.model_fields_set:
                setattr(self, name, None)
        fields = {name: value for name, value in vars(self).items() if name in self.model_fields_set}
        options = {known: fields[name] for name, known in _FIELDS.items() if fields.get(name) is not None}
        if fields.get("openai_proxy"):
            raise TypeError("openai_proxy is given, but proxies are those of http_client and http_async_client")
        self._take(
            OpenAI(provider=self.provider, http_client=fields.get("http_client"), **options),
            AsyncOpenAI(provider=self.provider, http_client=fields.get("http_async_client"), **options),
        )
        return self

    def _take(self, client: OpenAI, async_client: AsyncOpenAI) -> None:
        raise NotImplementedError

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """No: what is loaded again would be LangChain's own class, with the key of OPENAI_API_KEY."""
        return False


class ChatOpenAI(_Signed, langchain_openai.ChatOpenAI):
    """A `langchain_openai.ChatOpenAI` for one provider.

    provider: an id, a Provider, or None for the default one of `host`. All other options are LangChain's, but no key,
    and a `base_url` only at or below the provider's; `http_client` and `http_async_client` are of the SDK's own HTTP
    library. No OPENAI_* variable changes where a request goes or what is on it. Raises what
    `keyfob.integrations.openai.OpenAI` raises; so do requests.
    """

    def _take(self, client: OpenAI, async_client: AsyncOpenAI) -> None:
        self.root_client, self.client = client, client.chat.completions
        self.root_async_client, self.async_client = async_client, async_client.chat.completions

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """With the base URL: LangChain's caches tell models apart by these."""
        return {**super()._identifying_params, "base_url": str(self.root_client.base_url)}


class OpenAIEmbeddings(_Signed, langchain_openai.OpenAIEmbeddings):
    """A `langchain_openai.OpenAIEmbeddings` for one provider; see ChatOpenAI."""

    def _take(self, client: OpenAI, async_client: AsyncOpenAI) -> None:
        self.client, self.async_client = client.embeddings, async_client.embeddings
