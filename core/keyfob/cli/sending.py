"""Sending to a provider: one request with its retries, and how failures of the network are said."""

from __future__ import annotations

import contextlib
import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import keyfob.httpx
from keyfob import __version__
from keyfob.cli.retries import Retries
from keyfob.clients.httpx import Transport
from keyfob.clients.origin import shown
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

# Texts of a library can repeat what was sent or received; these do not.
_SENTENCES = {
    "ConnectTimeout": "there was no connection in time",
    "LocalProtocolError": "the request is not one that HTTP allows",
    "PoolTimeout": "there was no connection in time",
    "ReadTimeout": "there was no answer in time",
    "RemoteProtocolError": "it closed the connection, or did not answer as HTTP demands",
    "UnsupportedProtocol": "it is neither http nor https",
    "WriteTimeout": "it did not take the request in time",
}


class UnreachableError(KeyfobError):
    """The server cannot be reached, or did not answer."""

    code = "unreachable"


class AnswerError(KeyfobError):
    """The server answered that it does not do it."""

    code = "answer"


def why(error: Exception) -> str:
    """What failed, of an error of the library's transports."""
    name = type(error).__name__
    if name == "ProxyError":
        return f"the proxy answered {error}"
    if name == "ConnectError":
        return _of_system(error) or "there is no connection"
    return _SENTENCES.get(name, "the connection broke off")


def _of_system(error: BaseException | None) -> str | None:
    """What the operating system said, at the bottom of a chain of errors."""
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return None
    return _of_system(error.__cause__ or error.__context__) or _said(error)


def _said(error: BaseException) -> str | None:
    """What one error says. asyncio words those of the system in its own way; the number of a look-up's is no errno."""
    if not isinstance(error, OSError) or not error.errno:
        return None
    return os.strerror(error.errno) if type(error).__module__ == "builtins" else error.strerror


def unreachable(provider: Provider, error: Exception) -> UnreachableError:
    """The error to raise for one of the library's transports."""
    words = why(error)
    hint = "SSL_CERT_FILE names the certificates to trust" if "CERTIFICATE_VERIFY" in words else None
    return UnreachableError(f"{provider.id} at {provider.base_url.origin}: {words}", hint=hint)


def phrase(status: int) -> str:
    """A status with its name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


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
    return isinstance(error, final) or "CERTIFICATE" in str(error)


def _failure(provider: Provider, answer: Any) -> AnswerError:
    status, hint = answer.status_code, None
    what = f"{provider.id} answered {phrase(status)}"
    if status in _REDIRECT and "location" in answer.headers:
        what += f" and points to {shown(_location(answer))}; redirects are not followed"
    if status in _REFUSED:
        hint = f"keyfob explain {provider.id}"
    return AnswerError(what, hint=hint)
