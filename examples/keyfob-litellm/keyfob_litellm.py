"""The company's LiteLLM proxy as the provider `litellm`, which is there as soon as this is installed.

A company puts its own address and its own words here, and publishes the package to its own index.
"""

from collections.abc import Mapping
from typing import Any

from keyfob.plugin import hookimpl

BASE_URL = "https://llm.example.com/v1"
"""Where the proxy is."""

KEYS = "https://llm.example.com/ui"
"""Where people make the key that is theirs."""


@hookimpl
def keyfob_providers() -> Mapping[str, Mapping[str, Any]]:
    """The entries, by id. A user's entry of the same id is merged over it, key by key."""
    return {
        "litellm": {
            "name": "LiteLLM",
            "base_url": BASE_URL,
            "env_key": "LITELLM_API_KEY",
            "env_key_instructions": f"make a virtual key at {KEYS}",
            "wire_api": "responses",
            # Whom the proxy's reports put the costs down to, and after how many seconds it gives up on a model.
            "http_headers": {"x-litellm-tags": "keyfob", "x-litellm-timeout": "600"},
            "request_max_retries": 1,  # the proxy tries again by itself, at other deployments of the model
            "stream_idle_timeout_ms": 600_000,
        }
    }
