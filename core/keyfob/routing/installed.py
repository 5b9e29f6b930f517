"""What installed distributions declare, read from their metadata alone: no plugin is imported here.

`importlib.metadata` would do the same for thirty times the price, and would look in the current folder too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUPS = ("keyfob.auth", "keyfob.providers", "keyfob.events")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One entry point: `name` is a config key (keyfob.auth), a provider id (keyfob.providers) or any word (events).

    version: "" where the distribution's metadata is gone. path: the file that says all this; "" where none does.
    """

    group: str
    name: str
    module: str
    distribution: str
    version: str
    path: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()

    @property
    def folder(self) -> str:
        """The folder of its metadata."""
        return os.path.dirname(self.path)


class Installed:
    """What the distributions in these folders declare, read on first use; most entries never need it.

    before: called with the paths that are about to be read.
    """

    def __init__(self, folders: list[str], before: Callable[[list[str]], None]) -> None:
        self._folders = folders
        self._before = before

    def __iter__(self) -> Iterator[Declaration]:
        self._before(self._folders)
        files = metadata_files(self._folders)
        self._before(files)
        return iter(declarations(files))


def metadata_files(folders: list[str]) -> list[str]:
    """Where each installed distribution's entry points are, or would be."""
    return [
        os.path.join(folder, name, "entry_points.txt")
        for folder in folders
        for name in sorted(_listed(folder))
        if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~")  # pip's name for what it removes
    ]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def declarations(files: list[str]) -> list[Declaration]:
    """Every entry point of our groups in these files; of one distribution found twice, those that are found first."""
    found: dict[str, list[Declaration]] = {}
    for declared in map(_read, files):
        if declared:
            found.setdefault(declared[0].distribution, declared)
    return [declaration for declared in found.values() for declaration in declared]


def _read(path: str) -> list[Declaration]:
    try:
        with open(path, "rb", buffering=0) as file:  # half the price of a text file, and there are many
            data = file.read()
    except OSError:
        return []
    if b"keyfob." not in data:
        return []
    distribution, version = _distribution(os.path.dirname(path))
    return [
        Declaration(group, name, module, distribution, version, path)
        for group, name, module in _entry_points(data.decode(errors="replace"))
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
    """Name and version, as the head of the metadata says them; where it is gone, the name of the folder and ""."""
    fields: dict[str, str] = {}
    for name, value in head(folder):
        if name in ("Name", "Version"):
            fields[name] = value
        if len(fields) == 2:  # read no further: what follows is long
            return canonical(fields["Name"]), fields["Version"]
    return canonical(re.split(r"-(?=\d)", stem(folder))[0]), ""


def stem(folder: str) -> str:
    """What a metadata folder is called for: `NAME-VERSION`, for an .egg-info also `NAME`."""
    return os.path.splitext(os.path.basename(folder))[0]


def head(folder: str) -> Iterator[tuple[str, str]]:
    """Each field of the head of the metadata in a folder, which ends at a blank line; nothing where they are gone."""
    for file in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(folder, file), "rb") as lines:
                for line in lines:
                    if not line.strip():
                        break
                    name, _, value = line.decode(errors="replace").partition(": ")
                    yield name, value.strip()
        except OSError:
            continue


def canonical(name: str) -> str:
    """A distribution's name in the one spelling that compares (PEP 503); names have ASCII alone (PEP 508).

    Others stay as they are: the Kelvin sign in lower case is a `k`, and would make one name of two.
    """
    return re.sub(r"[-_.]+", "-", name).lower() if name.isascii() else name
