"""Claude Code: `apiKeyHelper` in its `settings.json`, a shell command that prints the token.

With it goes `ANTHROPIC_BASE_URL`: without one, Claude Code would send this provider's token to api.anthropic.com.
https://code.claude.com/docs/en/llm-gateway-connect
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from keyfob.cli.installing.command import command, home
from keyfob.cli.installing.edits import Edit, read
from keyfob.cli.installing.json_file import Json
from keyfob.cli.installing.plan import Plan, check_token_suffices, not_ready
from keyfob.config.places import home_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from keyfob.cli.run import Session
    from keyfob.providers import Provider

# Milliseconds after which it asks again; it asks after a 401 too.
REFRESH = "300000"
# What it appends to the base URL.
_PATH = "/v1"
# Credentials that go before the helper's, and would be sent to the provider instead.
_BEFORE = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
# What it sends the token as; in both at once.
_HEADERS = ("authorization", "x-api-key")


def plan(provider: Provider, session: Session, _: argparse.Namespace) -> Plan:
    """What makes Claude Code ask keyfob for this provider's token and send it there. Raises ConfigError, UsageError."""
    check_token_suffices(provider, "Claude Code", _HEADERS)
    path = settings(session.environ)
    before = read(path)
    file = Json(path, before)
    environ = file.data.get("env", {})
    if not isinstance(environ, dict):
        raise file.fault("`env` is no object", file.place("env"))
    for name in _BEFORE:
        if environ.get(name):
            message = f"`{name}` goes before the helper: it would be sent to {provider.base_url} instead of the token"
            raise file.fault(message, file.place("env", name), "remove it")
    file.put(("env",), {"ANTHROPIC_BASE_URL": _base_url(provider), "CLAUDE_CODE_API_KEY_HELPER_TTL_MS": REFRESH})
    file.put((), {"apiKeyHelper": _helper(provider.id, session.environ)})
    edits = [Edit(path, before, file.text)] if file.text != before else []
    return Plan(edits, remark=f"{path}: Claude Code asks keyfob already", after=_after(provider, session.environ))


def settings(environ: Mapping[str, str]) -> str:
    """The file of the user's settings."""
    return os.path.join(environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home_of(environ), ".claude"), "settings.json")


def _base_url(provider: Provider) -> str:
    """The base URL as Claude Code wants it: it sends to /v1/messages below."""
    return str(provider.base_url).removesuffix("/").removesuffix(_PATH)


def _helper(name: str, environ: Mapping[str, str]) -> str:
    """The line for a shell."""
    words, folder = [*command(environ), "token", name], home(environ)
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return f"CODEX_HOME={shlex.quote(folder)} {shlex.join(words)}" if folder else shlex.join(words)


def _after(provider: Provider, environ: Mapping[str, str]) -> Sequence[tuple[str, str | None]]:
    fields, name = provider.entry.fields, provider.id
    before = [
        (f"{each} is set here: Claude Code would send it to {provider.base_url} instead of the token", f"unset {each}")
        for each in _BEFORE
        if environ.get(each)
    ]
    added = (("http_headers", fields.http_headers), ("env_http_headers", fields.env_http_headers),
             ("query_params", fields.query_params))  # fmt: skip
    lost = [
        (f"{name}: Claude Code does not send its {key} ({', '.join(names)})", None) for key, names in added if names
    ]
    apart = sys.platform == "win32" and home(environ)  # a shell there takes no variable before a command
    started = [("Claude Code has to be started with the CODEX_HOME that is set here", None)] if apart else []
    return [*not_ready(provider), *before, *lost, *started]
