"""`keyfob token` for a login in the file store that needs nothing done: no lock, no network, few imports.

It only ever answers; whatever is out of the ordinary is left to the whole command.
"""

import json
import os
import stat

from keyfob_openai.claims import claims, time_of

# Renewal begins 15 minutes before expiry at the earliest. Seconds.
_EARLIEST_RENEWAL = 900.0
_LARGEST = 2**20


def token(path: str, now: float) -> "str | None":
    """The token of the login in the file at `path`, if nothing speaks against handing it out; now: epoch seconds."""
    try:
        data = json.loads(_read(path))
        if _unfinished(os.path.realpath(path) + ".keyfob.journal"):
            return None
        return _token(data, now)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def _token(data: "dict[str, object]", now: float) -> "str | None":
    mode = data.get("auth_mode")
    if mode == "apikey":
        key = data["OPENAI_API_KEY"]
        return key if isinstance(key, str) else None
    if mode != "chatgpt":
        return None
    tokens = data["tokens"]
    if not isinstance(tokens, dict) or not tokens["refresh_token"] or claims(tokens["id_token"]) is None:
        return None
    access_token = tokens["access_token"]
    expires_at = time_of(claims(access_token) or {}, "exp")
    fresh = expires_at is not None and now < expires_at - _EARLIEST_RENEWAL
    return access_token if fresh and isinstance(access_token, str) else None


def _read(path: str) -> bytes:
    """Raises ValueError for a file that is not private, not ordinary or too large: the whole command says why."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST or (os.name != "nt" and found.st_mode & 0o077):
            raise ValueError
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def _unfinished(journal: str) -> bool:
    """Whether a renewal was begun whose end is not noted."""
    try:
        with open(journal, "rb") as file:
            return b'"intent":null' not in file.read()
    except FileNotFoundError:
        return False
