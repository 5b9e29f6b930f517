"""The situation of a command: what a child needs in order to make the same host. No secret is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.host import Host


@dataclass(frozen=True, slots=True)
class Situation:
    """The general options, and the places that the command has found."""

    profile: str | None
    overrides: Sequence[str]
    codex_home: str
    system: str
    cache: str

    def host(self) -> Host:
        """The host. It warns of nothing: the command does."""
        from keyfob.config.places import Places
        from keyfob.host import Host

        places = Places(self.codex_home, system=self.system, cache=self.cache)
        return Host(profile=self.profile, overrides=self.overrides, places=places, warn=lambda _: None)
