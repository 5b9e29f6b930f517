"""What an issuer answers: tokens, or one of the standard errors, told without anything else of its body."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from keyfob.credentials.exchange import json_object
from keyfob.errors import DeniedError, SignInError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyfob.credentials.exchange import Answer, Exchange, Send

# Letters of a server's text that a message has room for.
_LONGEST = 200
# No token lives as long. Seconds.
_LONGEST_LIFE = 10.0**11
# What a request may hold that is nobody's business.
_SECRETS = frozenset(
    (
        "code",
        "code_verifier",
        "refresh_token",
        "client_secret",
        "token",
        "subject_token",
        "device_code",
        "device_auth_id",
    )
)


def request_tokens(request: Exchange, send: Send) -> Mapping[str, Any]:
    """Send it; the tokens that are answered. Raises SignInError, UnreachableError, UnansweredError, ConfigError."""
    answer = send(request)
    if not answer.ok:
        raise refused(answer, request)
    return tokens(answer, request)


def tokens(answer: Answer, request: Exchange) -> Mapping[str, Any]:
    """A successful answer (RFC 6749, section 5.1). Raises SignInError where it holds no bearer token."""
    document = answer.document()
    kind = document.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise SignInError(f"{host(request)} gave a token that is no bearer token")
    token = text(document, "access_token")
    if token is None:
        raise SignInError(f"{host(request)} answered {answer.status} without an access_token")
    if not (token.isascii() and token.isprintable()):  # appendix A.12
        raise SignInError(f"{host(request)} answered {answer.status} with an access_token that no header can hold")
    return document


def expiry(tokens: Mapping[str, Any], now: float) -> float | None:
    """When they expire, in seconds since the epoch (`expires_in`: RFC 6749, section 5.1); None where nobody says.

    now: the same, when they were answered. Some issuers send the number as a text of digits.
    """
    life = tokens.get("expires_in")
    if isinstance(life, str) and life.isascii() and life.isdecimal():
        life = int(life[:12])
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 <= life < _LONGEST_LIFE:
        return None
    return now + life


def refused(answer: Answer, request: Exchange) -> SignInError:
    """What an answer that is no success says (RFC 6749, section 5.2)."""
    document = answer.document()
    secrets = _secrets(request)
    told, code = reason(document, secrets), _without(error_code(document), secrets)
    kind = DeniedError if code == "access_denied" else SignInError
    said = f"{host(request)} answered {answer.status}" + (f": {told}" if told else "")
    return kind(said, error=code or None, retry_after=answer.retry_after)


def _secrets(request: Exchange) -> list[str]:
    """What was sent and is nobody's business: some issuers repeat the code that they refuse."""
    sent = [*parse_qsl(request.body.decode("utf-8", "replace")), *json_object(request.body).items()]
    named = [value for name, value in sent if name in _SECRETS and isinstance(value, str) and value]
    return named + _clients_secret(request)


def _clients_secret(request: Exchange) -> list[str]:
    """The same of the header that it may be in (RFC 6749, section 2.3.1): as it is, and as it went out."""
    kind, _, pair = request.headers.get("Authorization", "").partition(" ")
    if kind != "Basic":
        return []
    quoted = ""
    with contextlib.suppress(ValueError):  # a plugin may have written anything
        quoted = base64.b64decode(pair).decode("ascii", "replace").partition(":")[2]
    return [each for each in (pair, quoted, unquote_plus(quoted)) if each]


def error_code(document: Mapping[str, Any]) -> str | None:
    """The standard error code; OpenAI's issuer has it one level deeper."""
    error = document.get("error")
    found = error.get("code") if isinstance(error, dict) else error
    return plain(found) or None if isinstance(found, str) else None


def reason(document: Mapping[str, Any], secrets: Iterable[str] = ()) -> str:
    """The standard error fields as a person may read them: the code, with the description behind it; may be empty.

    Who says no needs no code for that. secrets: what is left out where the server repeats it.
    """
    error = document.get("error")
    deeper = error.get("message") if isinstance(error, dict) else None
    described, code = _without(document.get("error_description") or deeper, secrets), error_code(document)
    if code is None or (code == "access_denied" and described):
        return described
    code = _without(code, secrets)
    return plain(f"{code} ({described})") if described else code


def _without(words: object, secrets: Iterable[str]) -> str:
    """A server's text without these, whole: what is cut off would leave the half of one."""
    found = words if isinstance(words, str) else ""
    for secret in secrets:
        found = found.replace(secret, "…")
    return plain(found)


def plain(words: str) -> str:
    """A server's text without what could take hold of a terminal, and no longer than a sentence."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"


def text(document: Mapping[str, Any], name: str) -> str | None:
    """A field that is a text with something in it."""
    value = document.get(name)
    return value if isinstance(value, str) and value.strip() else None


def host(request: Exchange) -> str:
    """The issuer, for messages."""
    return urlsplit(request.url).hostname or "the issuer"
