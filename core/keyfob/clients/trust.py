"""Which certificates are trusted: those of the system and of the libraries, and those that a variable adds."""

from __future__ import annotations

import os
import ssl
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from keyfob.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Codex's own, then what OpenSSL's programs go by; of those that are set the first counts, as with Codex.
_FILES = ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")
_FOLDER = "SSL_CERT_DIR"
# Where systems keep their roots in one file, for an OpenSSL that was built to look elsewhere: Alpine, Arch and BSD;
# Fedora and RHEL, new and old; Debian; SUSE.
_SYSTEMS = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)


def trusted(environ: Mapping[str, str], *, http2: bool = False, shared: bool = True) -> ssl.SSLContext:
    """The TLS context for connections to providers and issuers; `http2` tells apart what a connection writes into it.

    CODEX_CA_CERTIFICATE, else SSL_CERT_FILE, names certificates in PEM that are trusted besides the system's, and
    SSL_CERT_DIR a folder of them as OpenSSL has it; empty is unset. Made once for all alike, as reading certificates
    takes 40 ms; unless `shared` it is the caller's own. Raises ConfigError that names the variable and the file.
    """
    name = next((name for name in _FILES if environ.get(name)), _FILES[-1])
    file, folder = environ.get(name) or None, environ.get(_FOLDER) or None
    make = _made if shared else _made.__wrapped__
    return make(name, file, folder, _stamp(name, file), http2)


def _stamp(name: str, file: str | None) -> object:
    """What changes with the file."""
    if file is None:
        return None
    try:
        found = os.stat(file)
    except (OSError, ValueError) as error:
        raise _unusable(name, file, error) from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=16)
def _made(
    name: str,
    file: str | None,
    folder: str | None,
    stamp: object,  # noqa: ARG001  # part of the cache's key
    http2: bool,  # noqa: ARG001, FBT001  # part of the cache's key
) -> ssl.SSLContext:
    context = _adding(name, file)
    if sys.platform == "darwin" or sys.platform == "win32":
        context = _judged_by_the_system(file)
    else:
        _add_roots(context)
    if folder is not None:
        if not any(map(os.path.isdir, folder.split(os.pathsep))):
            raise ConfigError(f"{_FOLDER} names {folder}, which is no folder", hint=f"unset {_FOLDER}")
        context.load_verify_locations(capath=folder)
    return context


def _adding(name: str, file: str | None) -> ssl.SSLContext:
    """A context that trusts a bundle alone. OpenSSL takes `TRUSTED CERTIFICATE` too, and passes over all that is none.

    Not `ssl.create_default_context()`: that reads SSL_CERT_FILE by itself, in place of all others; and from Python 3.13
    on it refuses what many companies' roots leave out and Codex does not miss.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # who names an intermediate authority trusts it
    if file is None:
        return context
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:  # an SSLError is one
        raise _unusable(name, file, error) from error
    if not context.cert_store_stats()["x509"]:
        raise _unusable(name, file, ssl.SSLError())
    return context


def _judged_by_the_system(file: str | None) -> ssl.SSLContext:
    """On macOS and Windows the roots, and what an administrator has done to them, are in no file."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file is not None:
        context.load_verify_locations(cafile=file)
    return context


def _add_roots(context: ssl.SSLContext) -> None:
    """The system's, with what an administrator has added to them; and Mozilla's, which httpx comes with."""
    import certifi

    paths = ssl.get_default_verify_paths()  # those it was built with: no variable moves them
    system = next(filter(os.path.isfile, (paths.openssl_cafile, *_SYSTEMS)), None)
    try:
        context.load_verify_locations(system, paths.openssl_capath)
    except OSError as error:
        message = f"{system}, the system's certificates, cannot be read"
        raise ConfigError(message, hint="keyfob doctor") from error
    context.load_verify_locations(cafile=certifi.where())


def _unusable(name: str, file: str, error: Exception) -> ConfigError:
    if isinstance(error, ssl.SSLError):
        what = "holds no certificates in PEM form, or a damaged one"
    else:
        what = f"cannot be read: {getattr(error, 'strerror', None) or 'that is no path'}"
    return ConfigError(f"{name} names {file}, which {what}", hint=f"openssl x509 -in {file}, or unset {name}")
