"""Which proxy a request takes: what the environment says, except that loopback is always reached directly."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # public, but not in typeshed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.origin import Origin


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for an origin, or None: HTTP(S)_PROXY, then ALL_PROXY, unless NO_PROXY names the host."""
    if origin.loopback or _bypassed(origin, environ):
        return None
    url = _variable(environ, f"{origin.scheme}_proxy") or _variable(environ, "all_proxy")
    return url if not url or "://" in url else f"http://{url}"


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name) or environ.get(name.upper()) or None


def _bypassed(origin: Origin, environ: Mapping[str, str]) -> bool:
    exceptions = _variable(environ, "no_proxy")
    if exceptions is None:
        return False
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return bool(proxy_bypass_environment(f"{host}:{origin.port}", {"no": exceptions}))
