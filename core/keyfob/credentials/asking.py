"""`KEYFOB_ASKING`: the providers whose token commands are running above this process, so that none can call itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "KEYFOB_ASKING"
_SEPARATOR = "\x1f"


def asked(environ: Mapping[str, str]) -> list[str]:
    """The ids of the providers that are being asked, outermost first."""
    return [provider for provider in environ.get(VARIABLE, "").split(_SEPARATOR) if provider]


def asking(environ: Mapping[str, str], provider: str) -> dict[str, str]:
    """The environment for a command that is run for `provider`."""
    return {**environ, VARIABLE: _SEPARATOR.join([*asked(environ), provider])}
