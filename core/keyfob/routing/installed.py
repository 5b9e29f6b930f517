"""What installed distributions declare, read from their metadata alone: no plugin is imported here.

`importlib.metadata` would do the same for thirty times the price, and would look in the current folder too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

GROUPS = ("keyfob.auth", "keyfob.providers", "keyfob.events")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One entry point: `name` is a config key (keyfob.auth), a provider id (keyfob.providers) or any word (events)."""

    group: str
    name: str
    module: str
    distribution: str
    version: str
    path: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def metadata_files(folders: list[str]) -> list[str]:
    """Where each installed distribution's entry points are, or would be."""
    return [
        os.path.join(folder, name, "entry_points.txt")
        for folder in folders
        for name in sorted(_listed(folder))
        if name.endswith((".dist-info", ".egg-info"))
    ]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def declarations(files: list[str]) -> list[Declaration]:
    """Every entry point of our groups in these files."""
    return [declaration for path in files for declaration in _read(path)]


def _read(path: str) -> list[Declaration]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    if "keyfob." not in text:
        return []
    distribution, version = _distribution(os.path.dirname(path))
    return [
        Declaration(group, name, module, distribution, version, path)
        for group, name, module in _entry_points(text)
        if group in GROUPS
    ]


def _entry_points(text: str) -> list[tuple[str, str, str]]:
    """(group, name, module) of each line; the format is that of the entry points specification (PyPA)."""
    group, found = "", []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found.append((group, name.strip(), value.partition("[")[0].strip()))
    return found


def _distribution(folder: str) -> tuple[str, str]:
    """Name and version: as the metadata says them, else as the folder's name does."""
    stem = os.path.basename(folder).rpartition(".")[0]
    name, _, version = stem.partition("-")
    for file in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(folder, file), encoding="utf-8", errors="replace") as lines:
                head = dict(_header(line) for line in lines.read(4096).splitlines() if ": " in line)
        except OSError:
            continue
        return canonical(head.get("Name", name)), head.get("Version", version)
    return canonical(name), version or "(half uninstalled)"


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value.strip()


def canonical(name: str) -> str:
    """A distribution's name in the one spelling that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
