"""The providers that are there without configuration, as in Codex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Users may not redefine these; Bedrock's two they may extend.
FIXED = frozenset({"openai", "ollama", "lmstudio"})
IDS = (*sorted(FIXED), "amazon-bedrock", "amazon-bedrock-runtime")


def built_in(provider: str, environ: Mapping[str, str], openai_base_url: str | None) -> dict[str, Any] | None:
    """The entry of a built-in provider, or None if there is no such id."""
    match provider:
        case "openai":
            return _openai(openai_base_url)
        case "ollama":
            return {"name": "gpt-oss", "base_url": _local_url(environ, 11434)}
        case "lmstudio":
            return {"name": "gpt-oss", "base_url": _local_url(environ, 1234)}
        case "amazon-bedrock" | "amazon-bedrock-runtime":
            return {"name": "Amazon Bedrock", "aws": {}}
        case _:
            return None


def _openai(base_url: str | None) -> dict[str, Any]:
    entry = {
        "name": "OpenAI",
        "requires_openai_auth": True,
        "env_http_headers": {"OpenAI-Organization": "OPENAI_ORGANIZATION", "OpenAI-Project": "OPENAI_PROJECT"},
    }
    return entry | ({"base_url": base_url} if base_url else {})


def _local_url(environ: Mapping[str, str], port: int) -> str:
    """Where the local model server listens; CODEX_OSS_BASE_URL, then CODEX_OSS_PORT, move both of them."""
    base_url = environ.get("CODEX_OSS_BASE_URL", "").strip()
    if base_url:
        return base_url
    given = environ.get("CODEX_OSS_PORT", "").strip()
    valid = given.isascii() and given.isdecimal() and int(given) < 2**16
    return f"http://localhost:{int(given) if valid else port}/v1"
