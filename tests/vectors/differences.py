"""Where keyfob does not do what Codex did, and why: the one list of allowed differences, kept honest by the test.

An entry says what keyfob does instead, field by field. One that no longer differs fails, as does one that names no run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, object]


_MODEL: Final = "{hostport}/v1/responses"
_SENT: Final[Fields] = {"requests": [_MODEL], "ending": "200"}


def _nothing_sent(ending: str) -> Fields:
    return {"requests": [], "ending": ending}


def _login(name: str, exp: str = "+3600") -> dict[str, object]:
    """The fields of auth.json that a renewal changes, as they are in the login of that name."""
    jwts = {f"tokens.{kind}_token": _jwt(f"{short}-{name}", exp) for kind, short in (("id", "id"), ("access", "at"))}
    return {**jwts, "tokens.refresh_token": f"rt-{name}"}


def _jwt(name: str, exp: str = "+3600") -> str:
    return f"<jwt {name} acct=acct-1 plan=pro exp={exp}>"


def _kept(name: str = "old", exp: str = "+3600") -> Fields:
    """No renewal, where Codex renewed."""
    return {"calls": [], "stored": {**_login(name, exp), "last_refresh": "as before"}}


def _renewed(reason: str) -> str:
    """The request that renews the old login."""
    body = (
        '{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token",'
        f'"refresh_reason":"{reason}","refresh_token":"rt-old"}}'
    )
    return f"{{hostport}}/oauth/token {body} application/json"


def _revoked(token: str) -> str:
    body = f'{{"token":"{token}","token_type_hint":"refresh_token","client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}}'
    return f"{{hostport}}/oauth/revoke {body} application/json"


_WHOAMI: Final = "auth.openai.com/api/accounts/v1/user-auth-credential/whoami Bearer at-lab-token"
_CHATGPT: Final[Fields] = {
    "authorization": [f"Bearer {_jwt('at-old')}"],
    "headers": [{"chatgpt-account-id": "acct-1"}],
}
_OLD: Final = {"tokens.account_id": "acct-1", "last_refresh": "as before"}
_BEFORE: Final = ("auth_mode", "OPENAI_API_KEY", "tokens.id_token", "tokens.access_token", "tokens.refresh_token")


def _order(*names: str) -> Fields:
    """The fields in the order that they had, where Codex wrote them in its own."""
    return {"stored_order": [*_BEFORE, "tokens.account_id", *names, "tokens.login_owner_id", "last_refresh"]}


_CLIENT: Final = "app_EMoamEEZ73f0CkXaXp7hrann"
_FORM: Final = "application/x-www-form-urlencoded"
_BACK: Final = "http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback"
_USERCODE: Final = f'{{hostport}}/api/accounts/deviceauth/usercode {{"client_id":"{_CLIENT}"}} application/json'
_POLL: Final = (
    '{hostport}/api/accounts/deviceauth/token {"device_auth_id":"<device_auth_id>","user_code":"<user_code>"} '
    "application/json"
)


def _authorize(host: str) -> str:
    """The browser's request; the numbers are lengths."""
    return (
        f"{host}/oauth/authorize?response_type=code&client_id={_CLIENT}&redirect_uri={_BACK}"
        "&code_challenge=<code_challenge 43>&code_challenge_method=S256&state=<state 43>"
        "&scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke"
        "&id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=codex_cli_rs"
    )


def _code(host: str, back: str = _BACK, verifier: str = "<code_verifier 86>") -> str:
    return (
        f"{host}/oauth/token grant_type=authorization_code&client_id={_CLIENT}&code=<code>&redirect_uri={back}"
        f"&code_verifier={verifier} {_FORM}"
    )


def _in_the_browser(host: str) -> list[str]:
    """All that a sign-in in the browser asks."""
    exchange = (
        f"{host}/oauth/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id={_CLIENT}"
        f"&requested_token=openai-api-key&subject_token={_jwt('id-new')}"
        f"&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token {_FORM}"
    )
    return [_authorize(host), _code(host), exchange]


def _signed_in(api_key: str | None) -> Fields:
    """Where Codex signed nobody in, to an issuer on loopback."""
    provenance = {"tokens.oauth_provenance.issuer": "{base}", "tokens.oauth_provenance.client_id": _CLIENT}
    new = {"tokens.login_owner_id": "new", "tokens.account_id": "acct-1", "last_refresh": "new"}
    return {
        "ending": "saved (0)",
        "stored": {"auth_mode": "chatgpt", "OPENAI_API_KEY": api_key, **_login("new"), **provenance, **new},
    }


_ITEM: Final = (
    "item cli|{hash}@Codex Auth:default (keyring v3.6.3) "
    "{'application': 'rust-keyring', 'service': 'Codex Auth', 'target': 'default', 'username': 'cli|{hash}'}"
)
_IN_THE_KEYRING: Final = (
    f'{{"auth_mode":"chatgpt","OPENAI_API_KEY":"sk-exchanged","tokens":{{"id_token":"{_jwt("id-new")}",'
    f'"access_token":"{_jwt("at-new")}","refresh_token":"rt-new","oauth_provenance":{{"issuer":'
    f'"https://auth.openai.com","client_id":"{_CLIENT}"}},"login_owner_id":"{{new}}","account_id":"acct-1"}},'
    '"last_refresh":"{new}"}'
)
_INSTEAD: Final = {"calls": [_USERCODE, *_in_the_browser("{hostport}")], **_signed_in("sk-exchanged")}

_PROVENANCE: Final = _order("tokens.oauth_provenance.issuer", "tokens.oauth_provenance.client_id")

DIFFERENCES: Final[Mapping[str, Mapping[str, Fields]]] = {
    # The table "Where keyfob deliberately differs from Codex" of the design: Codex | keyfob
    "design: `env_key`, then the bearer token, beat `requires_openai_auth` | routing's order": {
        "openai_auth_and_bearer_apikey": {"authorization": ["Bearer sk-file"]},
        "openai_auth_and_bearer_chatgpt": _CHATGPT,
        "openai_auth_and_bearer_none": _nothing_sent("not-signed-in"),
        "openai_auth_and_env_key_set_apikey": {"authorization": ["Bearer sk-file"]},
        "openai_auth_and_env_key_set_chatgpt": _CHATGPT,
        "openai_auth_and_env_key_unset_apikey": _SENT,
        "openai_auth_and_env_key_unset_chatgpt": _SENT,
        "openai_auth_empty_env_key_apikey": _SENT,
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
        "auth_json_apikey_mode_empty_key": _nothing_sent("damaged-login"),
        "auth_json_apikey_mode_no_key": _nothing_sent("damaged-login"),
        "auth_json_id_token_not_jwt": _nothing_sent("damaged-login"),
        "auth_json_malformed": _nothing_sent("damaged-login"),
        "auth_json_mode_unknown": _nothing_sent("damaged-login"),
        "auth_json_no_id_token": _nothing_sent("damaged-login"),
        "auth_json_no_refresh_token": _nothing_sent("damaged-login"),
        "auth_json_unreadable_folder": _nothing_sent("damaged-login"),
        "builtin_access_token_env_opaque": _nothing_sent("credential"),
        "builtin_access_token_env_pat": _nothing_sent("credential"),
        "builtin_no_login": _nothing_sent("not-signed-in"),
        "builtin_none_openai_env": _nothing_sent("not-signed-in"),
        "forced_api_none_turn": _nothing_sent("not-signed-in"),
        "forced_requirements_allowed_login_methods": _nothing_sent("policy"),
        "forced_workspace_none": _nothing_sent("not-signed-in"),
        "openai_auth_none": _nothing_sent("not-signed-in"),
        "refresh_disk_removed_during_refresh": _nothing_sent("not-signed-in"),
        "refresh_last_refresh_bad_text": _nothing_sent("damaged-login"),
        "store_ephemeral_turn": _nothing_sent("not-signed-in"),
        "store_keyring_no_daemon_turn": _nothing_sent("store"),
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
        "query_params": {"query": ["api-version=2025-04-01-preview&b=x%20y%26z%3D1%2F%C3%BC"]},
    },
    "design: a custom provider without `base_url` and without auth goes to api.openai.com | configuration error": {
        "base_url_missing": {"ending": "config"},
    },
    "design: refreshes even when the selected provider does not use the login | only the login a request needs": {
        "builtin_access_token_and_codex_key": {"calls": []},
        "builtin_access_token_custom_no_auth": {"calls": []},
        "refresh_expired_custom_noauth": _kept(exp="-60"),
    },
    "design: drops unknown fields of auth.json | keeps them; issue 3, login records: order too": {
        "refresh_file_unknown_token_fields": {"stored": {"tokens.extra_token_field": "y"}},
        "refresh_provenance_default_client_with_override": _order(),
        "refresh_provenance_local_issuer": _PROVENANCE,
        "refresh_provenance_unknown_subfield": {**_PROVENANCE, "stored": {"tokens.zzz": "kept?"}},
        "refresh_provenance_vendor_issuer_with_override": _order(),
        "refresh_provenance_with_override": _PROVENANCE,
    },
    "design: any 401 from the issuer is final; spins on an expired answer | renewal.md": {
        "refresh_error_401_empty_body": _nothing_sent("renewal"),
        "refresh_error_401_something_else": _nothing_sent("renewal"),
        "refresh_reply_empty_object": {"ending": "renewal", "stored": {"last_refresh": "as before"}},
        "refresh_reply_still_expired": {"calls": [_renewed("proactive_expiry")], "ending": "renewal"},
    },
    "design: a policy mismatch deletes the login even when the active provider does not use it"
    " | §Policy: never another provider's own key": {
        "forced_api_custom_env_key": {
            **_SENT,
            "stored": {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, **_login("old"), **_OLD},
        },
        "forced_chatgpt_custom_env_key": {**_SENT, "stored": {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-file"}},
    },
    "design: `auto` logout stops at a keyring error and leaves the file | clears every place it can, then reports": {
        "store_auto_no_daemon_login_key": {"ending": "saved (0) / API key *** (0) / signed out (0)", "stored": None},
        "store_keyring_no_daemon_status_with_file": {"stored": None},
    },
    "design: `login` revokes and deletes the old login before the new one succeeds | replaces it only after success": {
        "browser_abandoned_over_apikey": {"stored": {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-file"}},
        "browser_abandoned_over_chatgpt": {
            "calls": [_authorize("auth.openai.com")],
            "stored": {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, **_login("old"), **_OLD},
        },
        "browser_ok_over_chatgpt": {"calls": _in_the_browser("auth.openai.com")},  # --revoke-old would
    },
    "design: device login fails when the server has it disabled | falls back to the browser flow": {
        "device_not_enabled": _INSTEAD,
        "device_not_enabled_over_apikey": _INSTEAD,
    },
    "issue 4, bad input: interval as string or number or absent; RFC 8628, 3.5: then 5 seconds": {
        "device_interval_missing": {"pauses": [5, 5]},  # Codex polls without a pause
        "device_interval_number": {
            "calls": [
                _USERCODE,
                _POLL,
                _POLL,
                _code("{hostport}", "http%3A%2F%2F{hostport}%2Fdeviceauth%2Fcallback", "<code_verifier>"),
            ],
            **_signed_in(None),
        },
    },
    # renewal.md
    "renewal.md, when: early, but never more than a quarter of the life": {  # these logins were made seconds ago
        "refresh_error_500_valid_token_near_expiry": {"calls": []},
        "refresh_exp_in_30s": {"authorization": [f"Bearer {_jwt('at-old', '+30')}"], **_kept(exp="+30")},
        "refresh_exp_in_4m50s": {"authorization": [f"Bearer {_jwt('at-old', '+290')}"], **_kept(exp="+290")},
    },
    "renewal.md, when: after a 401 only if the token was issued more than 60 s ago": {
        "refresh_401_always": {"requests": [_MODEL], **_kept()},
        "refresh_401_disk_changed_same_account_401_again": {
            "requests": [_MODEL, _MODEL],
            "ending": "401",
            **_kept("disk"),
        },
        "refresh_401_refresh_401": {"requests": [_MODEL], "calls": [], "ending": "401"},
        "refresh_401_refresh_500": {"requests": [_MODEL], "calls": [], "ending": "401"},
        "refresh_401_then_ok": {"requests": [_MODEL], "ending": "401"},
    },
    "renewal.md, 2: another account on disk: error that says so": {
        "refresh_disk_changed_during_refresh_other": _nothing_sent("account-changed"),
    },
    "renewal.md, 7: record gone: it stays gone, and R2 is revoked": {
        "refresh_disk_removed_during_refresh": {"calls": [_renewed("proactive_expiry"), _revoked("rt-new")]},
    },
    "renewal.md, 8: an answer that fails a judgement but holds a refresh token has been saved": {
        "refresh_reply_bad_id_token": {
            "authorization": [f"Bearer {_jwt('at-new')}"],
            "stored": {
                "tokens.access_token": _jwt("at-new"),
                "tokens.refresh_token": "rt-new",
                "last_refresh": "new",
            },
        },
    },
    "renewal.md, 9: permanent: `invalid_grant`, or OpenAI's `refresh_token_expired`, `_reused`, `_invalidated`": {
        # An expired token is not sent; Codex goes on with it.
        name: _nothing_sent("login-refused")
        for name in (
            "refresh_error_400_invalid_grant",
            "refresh_error_400_refresh_token_expired",
            "refresh_error_400_refresh_token_invalidated",
            "refresh_error_400_refresh_token_reused",
            "refresh_error_401_plain_string",
            "refresh_error_401_refresh_token_expired",
            "refresh_error_401_refresh_token_invalidated",
            "refresh_error_401_refresh_token_reused",
        )
    },
    "renewal.md, 9: all else is transient: back off, old credential while it lasts": {
        "refresh_error_400_something_else": _nothing_sent("renewal"),
        "refresh_error_429": _nothing_sent("renewal"),
        "refresh_error_500_then_ok": {
            **_nothing_sent("renewal"),
            "stored": {**_login("old", "-60"), "last_refresh": "as before"},
        },
    },
    # Issue 3
    "issue 3, login records: what cannot be read is an error": {  # a time that is missing can be done without
        "refresh_last_refresh_null": {"authorization": [f"Bearer {_jwt('at-old')}"]},
        "status_apikey_empty": {"ending": "damaged (1)"},
        "status_chatgpt_without_tokens": {"ending": "damaged (1)"},
        "status_empty_object": {"ending": "damaged (1)"},
    },
    "issue 3, credentials: base URL by mode when the entry has none": {  # Codex asks about the workspace first
        "builtin_chatgpt_no_openai_base_url": {
            "requests": ["chatgpt.com/backend-api/codex/responses"],
            "ending": "200",
        },
        "builtin_chatgpt_no_urls": {"requests": ["chatgpt.com/backend-api/codex/responses"], "ending": "200"},
        "builtin_chatgpt_only_chat_url_routed": {
            "requests": ["chatgpt.com/backend-api/codex/responses"],
            "ending": "200",
        },
    },
    "issue 3, command line: `keyfob status [PROVIDER]`: how the default provider is signed in": {
        "logout_with_codex_env": {"ending": "signed out (0) / API key *** (0)"},  # CODEX_API_KEY is what would be used
        "status_custom_provider_env_key": {"ending": "API key *** (0)"},
        # It asks nobody, not even whose a personal access token is.
        "login_access_token_pat": {"calls": [_WHOAMI, _WHOAMI]},  # the login itself, and the turn
        "status_with_access_token_env": {"calls": []},
    },
    "issue 3, command line: `status` tells its states apart": {  # Codex says that nobody is signed in
        "forced_api_with_chatgpt_status": {"ending": "forbidden by policy (1)"},
        "forced_chatgpt_with_apikey_status": {"ending": "forbidden by policy (1)"},
        "forced_workspace_mismatch_status": {"ending": "forbidden by policy (1)"},
    },
    "issue 3, command line: masked key": {  # of a short one nothing: Codex would show 13 of these 21 characters
        "login_key_no_newline": {"ending": "saved (0) / API key *** (0)"},
        "login_key_ok": {"ending": "saved (0) / API key *** (0)"},
        "store_file_no_daemon_login_key": {"ending": "saved (0) / API key *** (0) / signed out (0)"},
        "store_keyring_daemon_login_key": {
            "ending": f"saved (0) / API key *** (0) / {_ITEM} "
            '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-new-key-1234567890"}'
            " / signed out (0) / not signed in (1) / no item"
        },
    },
    "design, errors: exit code 2, usage or configuration": {
        "invalid_toml_login_status": {"ending": "config (2)"},
        "login_key_legacy_flag": {"ending": "usage (2)"},
        "wrong_type_login_status": {"ending": "config (2)"},
    },
    "design, differences: a header value with a newline is an error": {  # such a key is not stored in the first place
        "login_key_two_lines": {"ending": "illegal-header (1)", "stored": None},
    },
    "issue 3, stores: ephemeral": {  # nothing is said to be saved that is gone with the process
        "store_ephemeral_no_daemon_login_key": {"ending": "usage (2) / not signed in (1) / not signed in (0)"},
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
    # Codex renewed the login there, and left out of it what it does not know any more.
    "codex-observed, B: a WebSocket attempt goes before a POST; in this run it is these that get the 401": {
        "store_keyring_daemon_chatgpt": {
            "calls": [*_in_the_browser("auth.openai.com"), _revoked("rt-new")],
            "ending": f"saved (0) / ChatGPT (0) / {_ITEM} {_IN_THE_KEYRING} / 200 / signed out (0) / no item",
        },
    },
    # The same rule, another count: Codex also runs the command when it sends nothing that was recorded, and before its
    # first request; keyfob's clock stands at the times of the recorded requests.
    "codex-observed, A: refresh_interval_ms 1 or 50: re-run before requests older than that (5-6 / 3 runs in a turn)": {
        "auth_cmd_refresh_interval_1": {"authorization": ["Bearer tok-4"]},
        "auth_cmd_refresh_interval_50": {"authorization": ["Bearer tok-2"]},
    },
}
"""The line that explains it → the run → what keyfob does, in the fields where it differs."""

AGED_DIFFERENCES: Final[Mapping[str, Fields]] = {
    # codex-observed, C, 401 order: POST again even if unchanged. keyfob does not: it would be refused again.
    "refresh_401_always": {
        "requests": [_MODEL, _MODEL],
        "authorization": [f"Bearer {_jwt('at-old')}", f"Bearer {_jwt('at-new')}"],
    },
    "refresh_401_refresh_401": {"requests": [_MODEL]},
    "refresh_401_refresh_500": {"requests": [_MODEL]},
    "refresh_401_then_ok": {  # the second one would have been accepted, which nobody can know
        "authorization": [f"Bearer {_jwt('at-old')}", f"Bearer {_jwt('at-new')}"],
        "calls": [_renewed("unauthorized_recovery")],
        "stored": {**_login("new"), "last_refresh": "new"},
    },
}
"""The same for the runs with a 401, where the login is an hour older than it was: by run, and by field."""
