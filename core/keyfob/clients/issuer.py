"""Requests to issuers: one connection each, no redirects, and failures told apart by whether anything was sent."""

from __future__ import annotations

import email.utils
import time
from datetime import UTC
from typing import TYPE_CHECKING, Any

from keyfob import __version__
from keyfob.clients.httpx import issuer_client, sending_errors
from keyfob.clients.origin import Origin, shown
from keyfob.clients.proxies import Proxy, proxy_for
from keyfob.clients.reasons import TRUST_HINT, unknown, untrusted, why
from keyfob.clients.watch import Watch
from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.exchange import Answer, UnansweredError, UnreachableError
from keyfob.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.credentials.exchange import Exchange

# Bytes. No answer of an issuer is this large.
_LARGEST = 2**20
# How many times as long as for a byte to wait for all of it: others wait for the lock.
_WHOLE = 2
# Not compressed: what the library cannot unpack it hands on packed, and so it would be staged.
_HEADERS = {"User-Agent": f"keyfob/{__version__}", "Accept-Encoding": "identity"}


def send(exchange: Exchange, environ: Mapping[str, str]) -> Answer:
    """Send one request; the answer, whole, whatever its status. A redirect is one too, and is not followed.

    environ: where proxies and certificates are looked up. Raises UnreachableError where nothing was sent,
    UnansweredError where something may have been received, and before it sends anything ConfigError for a URL, proxy
    or file of certificates that cannot be used, and IllegalHeaderError for what no header may hold.
    """
    origin = _origin(exchange)
    SecretHeaders(exchange.headers)  # or the library would refuse them, and repeat the value
    proxy = None if origin.loopback else proxy_for(origin, environ)
    watch = Watch(_WHOLE * exchange.timeout)
    with issuer_client(origin, exchange.timeout, environ, proxy) as client, watch:
        try:
            return _answer(client, exchange, watch)
        except sending_errors() as error:
            raise _failure(error, origin, proxy, watch, exchange.timeout) from error


def _origin(exchange: Exchange) -> Origin:
    """Where it goes; loopback alone may be reached without encryption (RFC 6749, section 3.2)."""
    named = exchange.named or "the issuer's URL"
    try:
        origin = Origin.of(exchange.url)
    except ValueError as error:
        raise ConfigError(f"{named}: it {error}") from None
    if origin.scheme == "http" and not origin.loopback:
        raise ConfigError(f"{named}: plain http to {origin.host} would send a login in the clear", hint="use https")
    return origin


def _answer(client: Any, exchange: Exchange, watch: Watch) -> Answer:  # a client of either library
    body = b""
    headers = {**_HEADERS, **exchange.headers}
    request = client.build_request(
        exchange.method, exchange.url, content=exchange.body, headers=headers, extensions={"trace": watch}
    )
    response = client.send(request, stream=True)
    try:
        for part in response.iter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise UnansweredError(f"{shown(exchange.url)} sent more than {_LARGEST >> 20} MiB")
    finally:
        response.close()
    found = response.headers
    date = _date(found.get("date"))
    return Answer(response.status_code, body, date, _retry_after(found.get("retry-after"), date))


def _failure(
    error: Exception, origin: Origin, proxy: Proxy | None, watch: Watch, timeout: float
) -> UnreachableError | UnansweredError:
    reason = f"it took longer than {_WHOLE * timeout:g} s" if watch.expired else why(error)
    if watch.sent:
        return UnansweredError(f"{origin.host} did not answer: {reason}")
    if untrusted(error):
        reason += f"; {TRUST_HINT}"
    by = f" through the proxy of {proxy.variable}" if proxy else ""
    return UnreachableError(f"{origin.host} cannot be reached{by}: {reason}", unknown=unknown(error) and proxy is None)


def _date(text: str | None) -> float | None:
    """An HTTP date (RFC 9110, section 5.6.7), in seconds since the epoch."""
    try:
        found = email.utils.parsedate_to_datetime(text) if text else None
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp() if found else None
    except (TypeError, ValueError, OverflowError):
        return None


def _retry_after(text: str | None, date: float | None) -> float | None:
    """Seconds (RFC 9110, section 10.2.3). A date counts from that of the answer: both are by the issuer's clock."""
    if text and text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    until = _date(text)
    return None if until is None else max(0.0, until - (time.time() if date is None else date))
