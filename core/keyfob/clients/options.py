"""The options of a client: those of the library's own class, with the provider's defaults under them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from keyfob.clients.proxies import Proxy, proxy_for
from keyfob.clients.signing import CONNECT
from keyfob.clients.trust import trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.clients.origin import Origin
    from keyfob.clients.signing import Signing

# What the library's client would hand to the transport it makes; ours is made here, so it is handed on here.
_TRANSPORT_OPTIONS = ("cert", "http1", "http2", "limits", "verify")


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
        "timeout": library.Timeout(CONNECT, read=signing.read_timeout),  # but for reading, which may take longer
        **given,
    }
    environ = signing.environ if options.get("trust_env", True) else None
    own = _own(options, environ)
    proxy, inner = options.pop("proxy", None), options.pop("transport", None)

    def make(chosen: Any) -> Any:
        if isinstance(chosen, Proxy):
            return chosen.transport(library, http_transport, **own)
        return http_transport(**own, proxy=chosen)

    if inner is None or proxy is not None:  # as in both libraries a proxy goes before a transport
        inner = network(signing.base_url.origin, partial(_proxy_to, given=proxy, environ=environ), make)
    mounts = {pattern: mounted and sign(mounted) for pattern, mounted in (options.get("mounts") or {}).items()}
    return {**options, "transport": sign(inner), "mounts": mounts}


def _own(options: dict[str, Any], environ: Mapping[str, str] | None) -> dict[str, Any]:
    """The options of the transport, taken out of those of the client."""
    own = {name: options.pop(name) for name in _TRANSPORT_OPTIONS if name in options}
    if own.get("verify", True) is True:  # a certificate of the caller's is loaded into the context: one of its own
        own["verify"] = trusted(environ or {}, http2=own.get("http2", False), shared="cert" not in own)
    return own


def _proxy_to(origin: Origin, given: Any, environ: Mapping[str, str] | None) -> Any:
    """Loopback is reached directly, whatever the environment says: plain http is for no other eyes."""
    if origin.loopback:
        return None
    return given if given is not None or environ is None else proxy_for(origin, environ)
