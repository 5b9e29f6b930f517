"""A configuration to measure with: a CODEX_HOME of many providers, and an environment that leads to it alone."""

from __future__ import annotations

import base64
import json
import os
from typing import Any, NamedTuple

from keyfob.testing.issuer import jwt

KEY = "sk-benchmark-0123456789abcdef"
BASE_URL = "https://llm.example.com/v1"

# So many that a token has 2 KB.
_SCOPES = 120

_ENTRY = """
[model_providers.p{number}]
name = "Provider {number}"
base_url = "https://p{number}.llm.example.com/v1"
env_key = "P{number}_KEY"
env_key_instructions = "Ask the team of provider {number}"
http_headers = {{ "X-Team" = "search" }}
request_max_retries = 3
stream_idle_timeout_ms = 60000
"""


class Home(NamedTuple):
    """A folder for everything that keyfob reads and writes, and the environment that names it."""

    folder: str

    @property
    def codex_home(self) -> str:
        """The folder of config.toml."""
        return os.path.join(self.folder, "codex")

    @property
    def cache(self) -> str:
        """XDG_CACHE_HOME: where the snapshot is kept."""
        return os.path.join(self.folder, "cache")

    @property
    def environ(self) -> dict[str, str]:
        """All that a child gets: nothing of the caller's, so that none of it can change what is measured."""
        places = {"HOME": self.folder, "CODEX_HOME": self.codex_home, "XDG_CACHE_HOME": self.cache}
        return {**places, "LAB_KEY": KEY, "LANG": "C.UTF-8", "PATH": os.defpath}


def make_home(folder: str, providers: int, last: str) -> Home:
    """A home in that folder with so many providers; `last` is how the last of them, `lab`, authenticates, in TOML."""
    home = Home(folder)
    os.makedirs(home.codex_home)
    entries = [_ENTRY.format(number=number) for number in range(providers - 1)]
    lab = f'\n[model_providers.lab]\nbase_url = "{BASE_URL}"\n{last}\n'
    with open(os.path.join(home.codex_home, "config.toml"), "w", encoding="utf-8") as file:
        file.write("".join([*entries, lab]))
    return home


def write_login(home: Home, login: dict[str, Any]) -> dict[str, Any]:
    """Write the login of Codex's auth.json; returns it. Its tokens get the size that OpenAI's have: 2 KB each."""
    if tokens := login.get("tokens"):
        padded = {name: _padded(tokens[name]) for name in ("id_token", "access_token")}
        login = {**login, "tokens": {**tokens, **padded}}
    path = os.path.join(home.codex_home, "auth.json")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(login, file, indent=2)
    return login


def write_key(home: Home) -> None:
    """Store the key of `lab` as `keyfob login lab --with-api-key` does."""
    folder = os.path.join(home.codex_home, "keyfob", "envkey")
    os.makedirs(folder, mode=0o700)
    with open(
        os.open(os.path.join(folder, "lab.json"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump({"origin": "https://llm.example.com", "api_key": KEY}, file, indent=2)


def _padded(token: str) -> str:
    claims = token.split(".")[1]
    return jwt(**json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))), scp=["openid"] * _SCOPES)
