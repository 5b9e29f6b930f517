"""Ships providers with one fault each; their ids are the rules that they break."""

from collections.abc import Mapping
from typing import Any

from keyfob.plugin import hookimpl

SOUND = {"base_url": "https://llm.example.com/v1", "env_key": "BROKEN_KEY"}


@hookimpl
def keyfob_providers() -> Mapping[str, Mapping[str, Any]]:
    """The entries."""
    return {
        "sound": SOUND,
        "shipped": {"env_key": "BROKEN_KEY"},
        "for-a-plugin-that-is-not-there": {"base_url": SOUND["base_url"], "nobody-declares-this": {}},
        "that-asks-an-issuer": {
            "base_url": SOUND["base_url"],
            "oauth": {
                "token_endpoint": "https://issuer.invalid/token",
                "client_id": "team",
                "client_secret_env": "BROKEN_KEY",
                "flow": "client_credentials",
            },
        },
        "every-key-is-known": {**SOUND, "nmae": "Corp"},
        "it-goes-encrypted": {**SOUND, "base_url": "http://llm.example.com/v1", "allow_http": True},
        "it-ships-no-secret": {
            **SOUND,
            "http_headers": {"X-Goog-Api-Key": "everybody's", "X-Client": "keyfob"},
            "query_params": {"token": "1", "v": "1"},
        },
        "it-is-ready-with-what-it-takes": {
            "base_url": SOUND["base_url"],
            "auth": {"command": "keyfob-no-such-command"},
        },
        "what-is-missing-is-named": {"base_url": SOUND["base_url"]},
    }
