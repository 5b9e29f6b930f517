"""The providers that are there without configuration, as in Codex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Users may not redefine these; Bedrock's two they may extend.
FIXED = frozenset({"openai", "ollama", "lmstudio"})
IDS = (*sorted(FIXED), "amazon-bedrock", "amazon-bedrock-runtime")

_OPENAI = {
    "name": "OpenAI",
    "requires_openai_auth": True,
    "env_http_headers": {"OpenAI-Organization": "OPENAI_ORGANIZATION", "OpenAI-Project": "OPENAI_PROJECT"},
}
_LOCAL_PORTS = {"ollama": 11434, "lmstudio": 1234}


class Base(NamedTuple):
    """What the files' settings of an entry are laid over, and the place that a fault in it is reported at.

    shipped: a plugin brings it, so that its user has not seen it.
    """

    data: Mapping[str, Any]
    path: str | None = None
    line: int | None = None
    shipped: bool = False


def built_in(provider: str, environ: Mapping[str, str]) -> Base | None:
    """The entry of a built-in provider, or None if there is no such id."""
    if provider == "openai":
        return Base(_OPENAI)
    if provider in _LOCAL_PORTS:
        return _local(environ, _LOCAL_PORTS[provider])
    return Base({"name": "Amazon Bedrock", "aws": {}}) if provider in IDS else None


def _local(environ: Mapping[str, str], port: int) -> Base:
    """Where the local model server listens; CODEX_OSS_BASE_URL, then CODEX_OSS_PORT, move both of them."""
    entry = {"name": "gpt-oss", "base_url": environ.get("CODEX_OSS_BASE_URL", "").strip()}
    if entry["base_url"]:
        return Base(entry, path="environment variable CODEX_OSS_BASE_URL")
    given = environ.get("CODEX_OSS_PORT", "").strip()
    valid = given.isascii() and given.isdecimal() and len(given) <= 5 and int(given) < 2**16
    return Base({**entry, "base_url": f"http://localhost:{int(given) if valid else port}/v1"})
