"""Why there was no answer: failures of the network in words. A library's own could repeat what was sent or received."""

from __future__ import annotations

import os
import re
import socket
import ssl
from http import HTTPStatus

_SENTENCES = {
    "ConnectTimeout": "there was no connection in time",
    "DecodingError": "its answer is not compressed as it says",
    "LocalProtocolError": "the request is not one that HTTP allows",
    "PoolTimeout": "there was no connection in time",
    "ReadTimeout": "there was no answer in time",
    "RemoteProtocolError": "it closed the connection, or did not answer as HTTP demands",
    "UnsupportedProtocol": "it is neither http nor https",
    "WriteTimeout": "it did not take the request in time",
}
_STATUS = re.compile(r"\d{3}(?= |$)")
TRUST_HINT = "CODEX_CA_CERTIFICATE or SSL_CERT_FILE names further certificates to trust"


def why(error: Exception) -> str:
    """What failed, of an error of an HTTP library."""
    name = type(error).__name__
    if name == "ProxyError":
        return _of_proxy(str(error))
    if name == "ConnectError":
        return _of_system(error) or "there is no connection"
    return _SENTENCES.get(name, "the connection broke off")


def untrusted(error: BaseException | None) -> bool:
    """Whether it is because of the server's certificate, which another try will not change."""
    return isinstance(_deepest(error), ssl.SSLCertVerificationError)


def unknown(error: BaseException | None) -> bool:
    """Whether no host of that name is known, which its configuration may be wrong about."""
    return isinstance(_deepest(error), socket.gaierror)


def phrase(status: int) -> str:
    """A status with its name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _of_proxy(text: str) -> str:
    """Of an HTTP proxy the status, not the words it has for it; of a SOCKS proxy the library's words."""
    status = _STATUS.match(text)
    return f"the proxy answered {phrase(int(status.group()))}" if status else f"the proxy refused: {text}"


def _deepest(error: BaseException | None) -> OSError | None:
    """What the operating system, or TLS, said at the bottom of a chain of errors."""
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return None
    own = error if isinstance(error, OSError) and error.errno else None
    return _deepest(error.__cause__ or error.__context__) or own


def _of_system(error: BaseException) -> str | None:
    """In its words. asyncio words those of the system in its own way; the number of a look-up's is no errno."""
    found = _deepest(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {found.verify_message}"
    if isinstance(found, ssl.SSLError):
        return f"there is no TLS with it: {(found.reason or 'broken off').lower().replace('_', ' ')}"
    if found is None or found.errno is None:
        return None
    return os.strerror(found.errno) if type(found).__module__ == "builtins" else found.strerror
