"""`keyfob token` for a login or a key in the file store that needs nothing done: no lock, no network, few imports.

It only ever answers; whatever is out of the ordinary is left to the whole command: see login.py for what is ordinary.
Also of the keys of `env_key` and the logins of `oauth`: a module of each plugin would read files in the same way, and
be found, opened and imported for nothing else.
"""

import os
import stat

from keyfob_openai.claims import claims, time_of
from keyfob_openai.jsontext import parsed

# Renewal begins 15 minutes before expiry at the earliest. Seconds.
_EARLIEST_RENEWAL = 900.0
# The same for a login that nobody shares: core's window.
_OWN_RENEWAL = 300.0
_LARGEST = 2**20
_MODES = ("chatgpt", "chatgptAuthTokens")


def token(path: str, now: float) -> "str | None":
    """The token of the login in the file at `path`, if nothing speaks against handing it out; now: epoch seconds."""
    try:
        data = parsed(_read(path).decode("utf-8"))
        if not isinstance(data, dict) or _unfinished(os.path.realpath(path) + ".keyfob.journal"):
            return None
        return _token(data, now)
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def key(path: str, origin: str) -> "str | None":
    """The key of another provider in the file at `path`, as `keyfob login` stores it, if it is bound to that origin."""
    try:
        data = parsed(_read(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return _text(data.get("api_key")) if isinstance(data, dict) and data.get("origin") == origin else None


def access_token(path: str, origin: str, configuration: str, now: float) -> "str | None":
    """The access token of another provider's OAuth login in the file at `path`, if it is bound to that origin and
    configuration, and nothing speaks against handing it out."""
    try:
        data = parsed(_read(path).decode("utf-8"))
        if not isinstance(data, dict) or _unfinished(os.path.realpath(path) + ".keyfob.journal"):
            return None
    except (OSError, ValueError, RecursionError):
        return None
    if (data.get("origin"), data.get("configuration")) != (origin, configuration):
        return None
    whole = all(_text(data[name]) for name in _TEXTS if name in data) and all(name in data for name in _NEEDED)
    expires_at, issued_at = time_of(data, "expires_at"), time_of(data, "issued_at")
    fresh = expires_at is not None and issued_at is not None and now < expires_at - _OWN_RENEWAL
    return _text(data.get("access_token")) if whole and fresh else None


# What is a text in an OAuth login, if it is there, and what has to be; keyfob_oauth/login.py has the same.
_TEXTS = ("token_endpoint", "access_token", "refresh_token", "account", "email")
_NEEDED = ("token_endpoint", "access_token")


def _token(data: "dict[str, object]", now: float) -> "str | None":
    mode, tokens = data.get("auth_mode"), data.get("tokens")
    if mode == "apikey":
        return _text(data["OPENAI_API_KEY"])
    if mode not in _MODES or not isinstance(tokens, dict) or not _is_time(data.get("last_refresh")):
        return None
    account = tokens.get("account_id", "")
    if not isinstance(tokens["refresh_token"], str) or claims(_text(tokens["id_token"]) or "") is None:
        return None
    if not isinstance(account, str) or not account.isascii() or not account.isprintable() or account != account.strip():
        return None
    access_token = _text(tokens["access_token"])
    expires_at = time_of(claims(access_token or "") or {}, "exp")
    return access_token if expires_at is not None and now < expires_at - _EARLIEST_RENEWAL else None


def _text(value: "object") -> "str | None":
    return value if isinstance(value, str) and value.strip() else None


def _is_time(value: "object") -> bool:
    """Whether it is a time as Codex and keyfob write it, and no leap day: what else is one is not decided here."""
    if not isinstance(value, str) or not value.isascii() or value[10:11] + value[-1:] != "TZ":
        return False
    date, time = value[:10].split("-"), value[11:-1].partition(".")[0].split(":")
    if [len(part) for part in (*date, *time)] != [4, 2, 2, 2, 2, 2] or not "".join((*date, *time)).isdecimal():
        return False
    fraction = value[19:-1]
    year, month, day = map(int, date)
    hour, minute, second = map(int, time)
    in_range = year > 1 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] and hour < 24 and max(minute, second) < 60
    return in_range and (not fraction or fraction[1:].isdecimal())


_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


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
