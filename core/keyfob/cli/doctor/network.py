"""Examinations of what the environment says about certificates and proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyfob.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session

_SCHEMES = ("http", "https", "socks5", "socks5h")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# What others look at and keyfob, as Codex, does not.
_UNUSED = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def certificates(session: Session) -> Iterator[Finding]:
    """The bundle that is added to the system's roots. Raises ConfigError for one that cannot be used."""
    from keyfob.clients.trust import trusted

    environ = session.host.environ
    trusted(environ)
    for name in ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        if environ.get(name):
            yield Finding("certificates", "note", f"{name} adds {environ[name]} to the system's roots")
    for name in _UNUSED:
        if environ.get(name):
            message = f"{name} is set; keyfob and Codex look at CODEX_CA_CERTIFICATE and SSL_CERT_FILE"
            yield Finding("certificates", "note", message, f"export CODEX_CA_CERTIFICATE=${name}")


def proxies(session: Session) -> Iterator[Finding]:
    """The proxies, without the passwords in their addresses."""
    environ = session.host.environ
    for name in _PROXIES:
        for spelt in (name.lower(), name):
            url = environ.get(spelt, "").strip()
            if url:
                yield _proxy(spelt, url)
                break


def _proxy(name: str, url: str) -> Finding:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return Finding("proxies", "problem", f"{name} is no URL", f"export {name}=http://HOST:PORT")
    if parts.scheme not in _SCHEMES or not host:
        instead = "socks5" if parts.scheme == "socks" else "http"
        message = f"{name} has the scheme {parts.scheme!r}, which no client here knows"
        return Finding("proxies", "problem", message, f"export {name}={instead}://…")
    return Finding("proxies", "note", f"{name}: {parts.scheme}://{host}{f':{port}' if port else ''}")
