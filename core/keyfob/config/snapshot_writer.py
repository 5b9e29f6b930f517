"""Writing the snapshot: what the configuration was read from, each file as it was then, and what it came to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keyfob.config.snapshot import FIELDS, framed, header, identity_of, is_plain, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyfob.config.places import Places
    from keyfob.config.snapshot import Routed

# A file that changed this short a time ago could change again without its times showing it. Seconds.
SETTLED = 2.0


class Watched:
    """The paths that a configuration is read from, each with its identity from before it was read.

    Of one kind each: `watch`; `policy`, the managed layer's; `installed`, which says what plugins there are.
    """

    def __init__(self) -> None:
        self._identities: dict[tuple[str, str], str] = {}

    def add(self, paths: Iterable[str], kind: str = "watch") -> None:
        """Look at these paths; call it before they are read."""
        for path in paths:
            self._identities.setdefault((kind, path), identity_of(kind, path))

    def settled(self, now: float) -> bool:
        """Whether no path has changed since, nor so short a time before `now` that its times could hide a change."""
        return all(
            identity == identity_of(kind, path) and _age(identity, now) > SETTLED
            for (kind, path), identity in self._identities.items()
        )

    def lines(self, *kinds: str) -> list[str]:
        """A line for each of these kinds."""
        return [f"{kind}\t{path}\t{found}" for (kind, path), found in self._identities.items() if kind in kinds]


def _age(identity: str, now: float) -> float:
    """Seconds since the last change; an absent path changed long ago."""
    times = identity.split(" ")[3:5]
    return now - max(map(int, times)) / 1e9 if len(times) == 2 and times[1].isdecimal() else SETTLED + 1


def save(
    places: Places,
    profile: str | None,
    watched: Watched,
    default: str,
    providers: dict[str, Routed | None],
    now: float,
) -> bool:
    """Write the snapshot, if what it was made of has settled. Whether it was written: without a cache all goes on.

    providers: all that there are; None for one whose routing has to be found out each time.
    """
    files, installed = watched.lines("watch", "policy"), watched.lines("installed")
    routes = [_line(provider, routed) for provider, routed in providers.items()]
    body = header(places, profile) + "\n".join([*files, f"default\t{default}", *filter(None, routes), *installed])
    if any(line.count("\t") != 2 for line in files + installed) or not is_plain(default) or not watched.settled(now):
        return False
    try:
        _write_private(path_of(places, profile), framed(body))
    except OSError:
        return False
    return True


def _line(provider: str, routed: Routed | None) -> str | None:
    """A provider's line; None for what cannot stand in one."""
    kind = "provider" if routed and routed.alone else "open"
    fields = [provider, *(routed.fields if routed else [""] * FIELDS)]
    return "\t".join([kind, *fields]) if all(map(is_plain, fields)) else None


def _write_private(path: str, text: str) -> None:
    """Replace a file of ours at once; its folder and itself are for nobody else."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.fsencode(text))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
