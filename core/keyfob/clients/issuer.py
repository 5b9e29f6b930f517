"""Requests to issuers: one connection each, no redirects, and failures told apart by whether anything was sent."""

from __future__ import annotations

import email.utils
from typing import TYPE_CHECKING, Any

from keyfob.clients.httpx import issuer_client, sending_errors
from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.credentials.exchange import Exchange

# Bytes. No answer of an issuer is as large.
_LARGEST = 2**20


def send(exchange: Exchange, environ: Mapping[str, str]) -> Answer:
    """Send one request; the answer, whole. Raises UnreachableError where nothing was sent, UnansweredError.

    environ: where proxies and certificates are looked up.
    """
    unsent, unanswered = sending_errors()
    try:
        with issuer_client(exchange.url, exchange.timeout, environ) as client:
            return _sent(client, exchange)
    except unsent as error:
        raise UnreachableError(type(error).__name__) from error
    except unanswered as error:
        raise UnansweredError(type(error).__name__) from error


def _sent(client: Any, exchange: Exchange) -> Answer:  # a client of either library
    headers, body = dict(exchange.headers), b""
    with client.stream(exchange.method, exchange.url, content=exchange.body, headers=headers) as response:
        for part in response.iter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise UnansweredError("its answer is too large")
        found = response.headers
        return Answer(response.status_code, body, _date(found.get("date")), _retry_after(found.get("retry-after")))


def _date(text: str | None) -> float | None:
    """An HTTP date (RFC 9110, section 5.6.7), in seconds since the epoch."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError, OverflowError):
        return None


def _retry_after(text: str | None) -> float | None:
    """Seconds (RFC 9110, section 10.2.3); a date there is left to our own back-off."""
    return float(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
