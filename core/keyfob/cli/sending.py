"""Sending to a provider: one request with its retries, and how failures of the network are said."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import keyfob.httpx
from keyfob import __version__
from keyfob.cli.retries import Retries
from keyfob.clients.httpx import Transport
from keyfob.clients.origin import shown
from keyfob.clients.reasons import TRUST_HINT, phrase, untrusted, why
from keyfob.errors import KeyfobError, OriginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keyfob.providers import Provider

# The library of the clients, for the types of its errors; clients/httpx.py is the one place that imports it.
library: Any = Transport.http_library

# Bytes are shown as they come, so none may come compressed.
HEADERS = {"User-Agent": f"keyfob/{__version__}", "Accept-Encoding": "identity"}

_OK = range(200, 300)
_REDIRECT = range(300, 400)
_REFUSED = (401, 403)


class UnreachableError(KeyfobError):
    """The server cannot be reached, or did not answer."""

    code = "unreachable"


class AnswerError(KeyfobError):
    """The server answered that it does not do it."""

    code = "answer"


def unreachable(provider: Provider, error: Exception) -> UnreachableError:
    """The error to raise for one of the library's transports."""
    hint = TRUST_HINT if untrusted(error) else None
    return UnreachableError(f"{provider.id} at {provider.base_url.origin}: {why(error)}", hint=hint)


@contextlib.contextmanager
def answered(
    provider: Provider,
    *,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    data: bytes | None,
    note: Callable[[str], None],
) -> Iterator[Any]:
    """Send one request; yields the answer, its body not yet read, whatever its status.

    Raises UsageError, OriginError, CredentialError before anything is sent; UnreachableError; and, at the end,
    AnswerError for an answer that is not a success. note: told of each new try.
    """
    with keyfob.httpx.Client(provider) as client:
        request = _request(client, provider, method, path, headers, data)
        answer = _tried(client, request, provider, note)
        try:
            yield answer
        except library.TransportError as error:
            raise unreachable(provider, error) from error
        finally:
            answer.close()
    if answer.status_code not in _OK:
        raise _failure(provider, answer)


def _request(
    client: Any, provider: Provider, method: str, path: str, headers: Sequence[tuple[str, str]], data: bytes | None
) -> Any:
    """The request, to a place where the provider's credential may go."""
    try:
        all_headers = dict(_last_of_each([*HEADERS.items(), *headers]))
        request = client.build_request(method, path, headers=all_headers, content=data)
    except (library.InvalidURL, UnicodeError):
        raise UsageError(f"{path!r} is not a path, nor a URL") from None
    if not provider.signing.covers(str(request.url)):
        provider.signing.blocked(str(request.url))
        where = shown(str(request.url))
        raise OriginError(f"nothing was sent: {where} is not at or below {provider.id}'s {provider.base_url}")
    return request


def _last_of_each(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of headers with one name the last: what the user says goes before the defaults."""
    return list({name.lower(): (name, value) for name, value in headers}.values())


def _tried(client: Any, request: Any, provider: Provider, note: Callable[[str], None]) -> Any:
    """The answer, its body not yet read. Raises UnreachableError."""
    retries = Retries(provider.entry.fields.request_max_retries)
    while True:
        try:
            answer = client.send(request, stream=True)
        except library.TransportError as error:
            failure = unreachable(provider, error)
            pause = None if _is_final(error) else retries.pause(None)
            if pause is None:
                raise failure from error
            what = str(failure)
        else:
            pause = retries.pause(answer.status_code, answer.headers.get("retry-after"))
            if pause is None:
                return answer
            answer.close()
            what = f"{provider.id} answered {phrase(answer.status_code)}"
        note(f"{what}; trying again in {pause:.1f} s ({retries.made} of {retries.limit})")
        time.sleep(pause)


def _location(answer: Any) -> str:
    try:
        return str(answer.request.url.join(answer.headers["location"]))
    except (library.InvalidURL, UnicodeError):
        return ""


def _is_final(error: Exception) -> bool:
    """Whether another try would end as this one: who has waited for a time-out has waited long enough."""
    final = (library.TimeoutException, library.UnsupportedProtocol, library.LocalProtocolError)
    return isinstance(error, final) or untrusted(error)


def _failure(provider: Provider, answer: Any) -> AnswerError:
    status, hint = answer.status_code, None
    what = f"{provider.id} answered {phrase(status)}"
    if status in _REDIRECT and "location" in answer.headers:
        what += f" and points to {shown(_location(answer))}; redirects are not followed"
    if status in _REFUSED:
        hint = _anew(provider) or f"keyfob explain {provider.id}"
    return AnswerError(what, hint=hint)


def _anew(provider: Provider) -> str | None:
    """The command for a new login, where the one that was refused is a stored one that nothing here renews."""
    login = provider.login
    found = provider.standing(login) if login is not None else None
    if login is None or found is None or found.record is None or not found.stored:
        return None
    renewable = found.record.secret is not None or found.record.expires_at is None
    return None if renewable else login.command
