"""What is mounted where, by the kernel's own list: only that knows a bind mount of the same file system."""

from __future__ import annotations

import os
import re

_LIST = "/proc/self/mountinfo"


def mounts() -> list[tuple[str, str]]:
    """Each mount point with the type of its file system; none where the kernel keeps no such list."""
    try:
        with open(_LIST, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            found = [line.partition(" - ") for line in lines]
    except OSError:
        return []
    return [(_decoded(mounted.split(" ")[4]), kind.split(" ")[0]) for mounted, _, kind in found]


def _decoded(point: str) -> str:
    """A blank, a tab, a newline and a backslash stand in the list as three digits: ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def is_mount_point(path: str) -> bool:
    """Whether something is mounted there."""
    return os.path.ismount(path) or any(path == point for point, _ in mounts())
