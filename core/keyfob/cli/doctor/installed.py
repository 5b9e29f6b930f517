"""Examination of what `keyfob install` wrote: whether the keyfob that other programs ask is still there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keyfob.cli.doctor.finding import Finding
from keyfob.cli.installing.arguments import TOOLS
from keyfob.cli.installing.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session


def installed(session: Session) -> Iterator[Finding]:
    """Each installation, and what is wrong with it."""
    for tool, name in TOOLS.items():
        for each in Records(session.places.codex_home, tool).read():
            if not each.stands(tool):
                continue
            message = f"{name} asks {each.program} for the token of {each.provider}"
            if os.path.exists(each.program):
                yield Finding("installed", "ok", message)
            else:
                words = f"{tool} {each.provider}"
                mend = f"keyfob uninstall {words} && keyfob install {words}"
                yield Finding("installed", "problem", f"{message}, which is not there any more", mend)
