"""The environment with `$CODEX_HOME/.env` layered over it."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, cast

from keyfob.config.dotenv import parse
from keyfob.config.layers import read_text
from keyfob.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping


def layered(path: str, environ: Mapping[str, str]) -> tuple[Mapping[str, str], list[Fault]]:
    """What the file at `path` sets, over `environ`, which stays as it is; and a fault for each line that is skipped.

    Raises ConfigError if the file is there and cannot be read.
    """
    text = read_text(path)
    if text is None:
        return environ, []
    values, invalid = parse(text, environ)
    faults = [Fault("not NAME=VALUE; the line is skipped", path=path, line=line) for line in invalid]
    return ChainMap(values, cast("dict[str, str]", environ)), faults
