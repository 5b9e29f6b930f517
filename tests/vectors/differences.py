"""Where keyfob does not do what Codex did, and why: the one list of allowed differences, kept honest by the test.

An entry says what keyfob does instead, field by field. One that no longer differs fails, as does one that names no run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, object]


def _nothing_sent(ending: str) -> Fields:
    return {"requests": [], "ending": ending}


_SENT: Final[Fields] = {"requests": ["{hostport}/v1/responses"], "ending": "200"}

DIFFERENCES: Final[Mapping[str, Mapping[str, Fields]]] = {
    # The table "Where keyfob deliberately differs from Codex" of the design: Codex | keyfob
    "design: `env_key`, then the bearer token, beat `requires_openai_auth` | routing's order": {
        "openai_auth_and_bearer_none": _nothing_sent("not-signed-in"),
        "openai_auth_and_env_key_unset_none": {"ending": "not-signed-in"},
    },
    "design: sends requests without auth when there is no login, auth.json is damaged, or the token command fails"
    " | error, nothing sent": {
        "auth_cmd_command_with_spaces": _nothing_sent("command"),
        "auth_cmd_empty": _nothing_sent("command"),
        "auth_cmd_missing": _nothing_sent("command"),
        "auth_cmd_nonzero": _nothing_sent("command"),
        "auth_cmd_not_utf8": _nothing_sent("command"),
        "auth_cmd_timeout": _nothing_sent("command"),
        "auth_cmd_timeout_child_killed": _nothing_sent("command"),
        "builtin_no_login": _nothing_sent("not-signed-in"),
        "builtin_none_openai_env": _nothing_sent("not-signed-in"),
        "openai_auth_none": _nothing_sent("not-signed-in"),
    },
    "design: drops a header whose value is illegal (a key with a newline)"
    " | error that names the variable; surrounding blanks are trimmed": {
        "bearer_token_padded": {"authorization": ["Bearer bt"]},
        "env_http_headers_newline": {"headers": [{"x-one": "v1"}]},
        "env_key_inner_newline": _nothing_sent("illegal-header"),
        "env_key_padded": {"authorization": ["Bearer k-env"]},
        "env_key_trailing_newline": {"authorization": ["Bearer k-env"]},
        "http_headers_bad_name": _nothing_sent("config"),
    },
    'design: refuses an entry without `name`, or with `wire_api = "chat"`'
    " | `name` defaults to the id; `wire_api` is the client's business": {
        "provider_name_missing": _SENT,
        "wire_api_bogus": _SENT,
        "wire_api_chat": _SENT,
        "wire_api_chat_unselected": _SENT,
    },
    "design: joins `query_params` raw; takes userinfo in a base URL | encodes them; error": {
        "query_params": {"query": ["api-version=2025-04-01-preview&b=x+y%26z%3D1%2F%C3%BC"]},
    },
    "design: a custom provider without `base_url` and without auth goes to api.openai.com | configuration error": {
        "base_url_missing": {"ending": "config"},
    },
    # Elsewhere in the design, and in the issue that this was built from
    "design, routing: an unknown scalar only warns": {
        "unknown_key_in_provider_strict": _SENT,  # Codex was run with --strict-config
    },
    "issue 2, bad input: a base URL with a query is a clear error": {
        "base_url_with_query": _nothing_sent("config"),
    },
    "issue 2, bad input: env values with newlines, NUL, non-ASCII are a clear error": {
        "env_key_non_ascii": _nothing_sent("illegal-header"),
    },
    "issue 2, configuration: a fault names file, line, provider, key, what is wrong, what to write instead": {
        "env_key_empty_name": {"ending": "config"},  # Codex looks for the variable `` and does not find it
    },
    # The same rule, another count: Codex also runs the command when it sends nothing that was recorded, and before its
    # first request; keyfob's clock stands at the times of the recorded requests.
    "codex-observed, A: refresh_interval_ms 1 or 50: re-run before requests older than that (5-6 / 3 runs in a turn)": {
        "auth_cmd_refresh_interval_1": {"authorization": ["Bearer tok-4"]},
        "auth_cmd_refresh_interval_50": {"authorization": ["Bearer tok-2"]},
    },
}
"""The line that explains it → the run → what keyfob does, in the fields where it differs."""

AWAITING_OPENAI_LOGIN: Final = frozenset(
    {
        "auth_json_access_token_opaque",
        "auth_json_apikey_mode_empty_key",
        "auth_json_apikey_mode_no_key",
        "auth_json_chatgpt_mode_key_and_tokens",
        "auth_json_fedramp",
        "auth_json_id_token_not_jwt",
        "auth_json_malformed",
        "auth_json_mode_bits_0644",
        "auth_json_mode_unknown",
        "auth_json_no_account_id",
        "auth_json_no_id_token",
        "auth_json_no_refresh_token",
        "auth_json_unknown_fields",
        "auth_json_unreadable_folder",
        "auth_json_without_mode_key_and_tokens",
        "auth_json_without_mode_key_only",
        "auth_json_without_mode_tokens_only",
        "base_url_missing_openai_auth_chatgpt",
        "builtin_access_token_and_codex_key",
        "builtin_access_token_env_opaque",
        "builtin_access_token_env_pat",
        "builtin_access_token_env_pat_known",
        "builtin_access_token_over_apikey_file",
        "builtin_apikey_codex_env",
        "builtin_chatgpt",
        "builtin_chatgpt_apps_on",
        "builtin_chatgpt_no_openai_base_url",
        "builtin_chatgpt_no_urls",
        "builtin_chatgpt_only_chat_url_routed",
        "builtin_none_codex_env",
        "builtin_none_codex_env_padded",
        "builtin_openai_base_url_env",
        "openai_auth_and_bearer_apikey",
        "openai_auth_and_bearer_chatgpt",
        "openai_auth_and_env_key_set_apikey",
        "openai_auth_and_env_key_set_chatgpt",
        "openai_auth_and_env_key_unset_apikey",
        "openai_auth_and_env_key_unset_chatgpt",
        "openai_auth_apikey",
        "openai_auth_apikey_401",
        "openai_auth_chatgpt",
        "openai_auth_empty_env_key_apikey",
        "openai_auth_none_with_codex_api_key",
    }
)
"""Runs with an OpenAI login, good or damaged, for an entry that asks for one: keyfob cannot read logins yet.

Until it can, each goes to the plugin `openai`, is refused as "not signed in", and sends nothing.
"""
