"""What a JWT claims (RFC 7519). Nothing is verified: only its issuer's servers act on it, we show it and time by it.

On the warm path: imports only what is cheap.
"""

import binascii

from keyfob_openai.jsontext import parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_AUTH = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"
# A time beyond this is in milliseconds, or nonsense: it says nothing. Seconds since the epoch.
_LATEST = 10.0**11


def claims(token: str) -> "Mapping[str, Any] | None":
    """The claims of a JWT; None for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts[:2]):
        return None
    try:
        payload = binascii.a2b_base64(parts[1].translate(_STANDARD) + "==")
        found = parsed(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


_STANDARD = str.maketrans("-_", "+/")


def time_of(found: "Mapping[str, Any]", name: str) -> "float | None":
    """A NumericDate, in seconds since the epoch; None where there is none that makes sense."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LATEST else None


def openai(found: "Mapping[str, Any]") -> "Mapping[str, Any]":
    """OpenAI's own claims: account, plan and so on."""
    own = found.get(_AUTH)
    return own if isinstance(own, dict) else {}


def email(found: "Mapping[str, Any]") -> "str | None":
    """The address of whoever signed in."""
    profile = found.get(_PROFILE)
    value = found.get("email") or (profile.get("email") if isinstance(profile, dict) else None)
    return value if isinstance(value, str) else None


def text(found: "Mapping[str, Any]", name: str) -> "str | None":
    """A claim that is a text with something in it."""
    value = found.get(name)
    return value if isinstance(value, str) and value else None
