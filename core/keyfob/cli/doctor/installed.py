"""Examination of what `keyfob install` wrote: whether the keyfob that other programs ask is still there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keyfob.cli.doctor.finding import Finding
from keyfob.cli.installing.arguments import TITLES
from keyfob.cli.installing.command import anew
from keyfob.cli.installing.installations import Installations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session


def installed(session: Session) -> Iterator[Finding]:
    """Each installation, and what is wrong with it."""
    for tool, name in TITLES.items():
        for each in Installations(session.places.codex_home, tool).read():
            if not each.stands(tool):
                continue
            message = f"{name} asks {each.program[0]} for the token of {each.provider}"
            gone = [path for path in each.program if not os.path.exists(path)]
            if gone:
                told = f"{message}, and {gone[0]} is not there any more"
                yield Finding("installed", "problem", told, anew(tool, each.provider))
            else:
                yield Finding("installed", "ok", message)
