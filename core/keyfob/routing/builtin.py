"""The built-in plugins, as an explicit table: core names them and never imports them."""

from __future__ import annotations

from keyfob import __version__
from keyfob.config.builtin import IDS
from keyfob.config.models import ProviderEntry
from keyfob.routing.installed import Declaration

# Plugin key → module. An entry point of an installed distribution can never take one of these keys.
MODULES = {
    "openai": "keyfob_openai.plugin",
    "envkey": "keyfob_envkey",
    "bearer": "keyfob_bearer",
    "command": "keyfob_command",
    "none": "keyfob_none",
    "oauth": "keyfob_oauth.plugin",
}

# The key of an entry that selects a built-in plugin. The first that is there wins; the others are ignored.
CLAIMS = {
    "requires_openai_auth": "openai",
    "env_key": "envkey",
    "experimental_bearer_token": "bearer",
    "auth": "command",
}

# The tables that select a built-in plugin: they are no keys of Codex's, and count as an installed plugin's do.
TABLES = frozenset({"oauth"})

# `aws` is Codex's word too, but keyfob has no code for it: a plugin may claim it.
RESERVED_KEYS = frozenset(ProviderEntry.model_fields) | frozenset(MODULES) | {"gateway_oauth"}
RESERVED_IDS = frozenset(IDS)


def declaration(key: str) -> Declaration:
    """That of a built-in plugin, which no metadata make."""
    return Declaration("keyfob.auth", key, MODULES[key], "keyfob", __version__, path="")
