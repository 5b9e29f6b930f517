"""`KEYFOB_ASKING`: the providers whose token commands are running above this process, so that none can call itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "KEYFOB_ASKING"


def asked(environ: Mapping[str, str]) -> list[str]:
    """The ids of the providers that are being asked, outermost first."""
    return [unquote(provider) for provider in environ.get(VARIABLE, "").split(",") if provider]


def asking(environ: Mapping[str, str], provider: str) -> dict[str, str]:
    """The environment for a command that is run for `provider`."""
    return {**environ, VARIABLE: ",".join(quote(name, safe="") for name in [*asked(environ), provider])}
