"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyfob.cli.run import Session


Level = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. mend: what to do about it, as a command or a line to write."""

    topic: str
    level: Level
    message: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing to look at: its name, what to say where nothing is found, and how to look."""

    topic: str
    sound: str
    look: Callable[[Session], Iterable[Finding]]
