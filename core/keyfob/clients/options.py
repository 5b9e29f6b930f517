"""The options of a client: those of the library's own class, with the provider's defaults under them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from keyfob.clients.proxies import proxy_for
from keyfob.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.clients.origin import Origin
    from keyfob.clients.signing import Signing

# What the library's client would hand to the transport it makes; ours is made here, so it is handed on here.
_TRANSPORT_OPTIONS = ("cert", "http1", "http2", "limits", "verify")
# Seconds to connect, to send, and to get a connection from the pool; the time to read is the entry's own.
_TIMEOUT = 30.0
# What the libraries look for certificates in.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def client_options(
    signing: Signing,
    given: dict[str, Any],
    library: Any,  # httpx or httpx2
    http_transport: Callable[..., Any],
    network: Callable[..., Any],
    sign: Callable[[Any], Any],
) -> dict[str, Any]:
    """What to give to the library's client: every transport that can carry a request is wrapped by `sign`."""
    options = {
        "base_url": f"{signing.base_url}/",
        "timeout": library.Timeout(_TIMEOUT, read=signing.read_timeout),
        **given,
    }
    trust_env = options.get("trust_env", True)
    own = {name: options.pop(name) for name in _TRANSPORT_OPTIONS if name in options}
    if not own.keys() & {"verify", "cert"}:
        own["verify"] = _trust(signing, library, trust_env=trust_env, http2=own.get("http2", False))
    proxy, inner = options.pop("proxy", None), options.pop("transport", None)

    def through(origin: Origin) -> Any:
        """Loopback is reached directly, whatever the environment says: plain http is for no other eyes."""
        if origin.loopback:
            return None
        return proxy if proxy is not None or not trust_env else proxy_for(origin, signing.environ)

    def make(chosen: Any) -> Any:
        try:
            return http_transport(**own, proxy=chosen, trust_env=trust_env)
        except (ImportError, ValueError, library.InvalidURL) as error:
            if chosen is None or proxy is not None:
                raise
            raise _bad_proxy(signing, library, error) from error

    if inner is None or proxy is not None:  # as in both libraries a proxy goes before a transport
        inner = network(signing.base_url.origin, through, make)
    mounts = {pattern: mounted and sign(mounted) for pattern, mounted in (options.get("mounts") or {}).items()}
    return {**options, "transport": sign(inner), "mounts": mounts}


def _bad_proxy(signing: Signing, library: Any, error: Exception) -> ConfigError:
    names = f"{signing.base_url.origin.scheme.upper()}_PROXY or ALL_PROXY"
    hint = f"pip install '{library.__name__}[socks]'" if isinstance(error, ImportError) else f"set {names} anew"
    return ConfigError(f"{signing.provider}: the proxy that {names} names cannot be used", hint=hint)


def _trust(signing: Signing, library: Any, *, trust_env: bool, http2: bool) -> Any:
    files = tuple(map(signing.environ.get, _CERTIFICATES))
    try:
        return _default_context(library, files, trust_env=trust_env, http2=http2)
    except OSError as error:  # an SSLError is one
        names = " or ".join(name for name, file in zip(_CERTIFICATES, files, strict=True) if file)
        message = f"the certificates that {names or 'the system'} names cannot be read"
        raise ConfigError(message, hint=f"unset {names}" if names else None) from error


@lru_cache(maxsize=16)
def _default_context(
    library: Any,
    files: tuple[str | None, ...],  # noqa: ARG001  # part of the cache's key
    *,
    trust_env: bool,
    http2: bool,  # noqa: ARG001  # part of the cache's key
) -> Any:
    """The library's own TLS context, made once for all clients alike: reading the certificates takes 20 ms and more.

    files: where they are, http2: which protocols a connection will write into it; both only tell contexts apart.
    """
    return library.create_ssl_context(trust_env=trust_env)
