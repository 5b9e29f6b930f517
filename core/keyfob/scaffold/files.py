"""The files of a new plugin: made from their templates, and written all together or not at all."""

from __future__ import annotations

import contextlib
import os
from string import Template
from typing import TYPE_CHECKING

from keyfob import __version__
from keyfob.scaffold.names import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib.resources.abc import Traversable

# Kind → what such a plugin is for.
KINDS = {
    "static": "an API key in a header of its own",
    "minting": "a token from an issuer, for a client id and a secret",
    "rotating": "a login that is renewed with a refresh token",
    "signing": "a signature over each request",
    "provider": "a provider that is ready to use",
}
_SUFFIX = ".tmpl"


def files_of(name: str, kind: str) -> dict[str, str]:
    """Path, with `/`, → text."""
    words = _words(name, kind)
    return {
        path.replace("NAME", words["word"]): Template(text).substitute(words)
        for folder in (kind, "shared")
        for path, text in _templates(folder)
        if not path.startswith("parts/")
    }


def entry_of(name: str, kind: str) -> str:
    """What its user writes into `keyfob.toml`."""
    return _words(name, kind)["entry"]


def write(folder: str, files: Mapping[str, str]) -> None:
    """Write files below a folder, which is made where it is not there: all of them or, if one cannot be, none.

    Raises OSError; FileExistsError where one of them is there.
    """
    with contextlib.ExitStack() as undo:
        for path, text in files.items():
            place = os.path.join(os.path.abspath(folder), *path.split("/"))
            _make(os.path.dirname(place), undo)
            with open(place, "x", encoding="utf-8", newline="\n") as file:
                undo.callback(_removed, os.remove, place)
                file.write(text)
        undo.pop_all()


def _make(folder: str, undo: contextlib.ExitStack) -> None:
    """Make a folder and those above it, and see to it that they can go again."""
    if os.path.isdir(folder):
        return
    if folder != os.path.dirname(folder):
        _make(os.path.dirname(folder), undo)
    os.mkdir(folder)
    undo.callback(_removed, os.rmdir, folder)


def _removed(remove: Callable[[str], None], place: str) -> None:
    with contextlib.suppress(OSError):  # a folder that holds what somebody else has put there stays
        remove(place)


def _words(name: str, kind: str) -> dict[str, str]:
    """What the templates of one plugin say."""
    ships = kind == "provider"
    words = words_of(name) | {
        "summary": f"keyfob plugin: {KINDS[kind]}",
        "group": "keyfob.providers" if ships else "keyfob.auth",
        "what": "the provider's id" if ships else "the key that selects it in an entry",
        "keyfob_version": ".".join(__version__.split(".")[:2]),
    }
    for path, text in _templates(f"{kind}/parts"):
        words[path.partition(".")[0]] = Template(text).substitute(words).rstrip("\n")
    return words


def _templates(folder: str) -> Iterator[tuple[str, str]]:
    """Path and text of each template below one of the folders; the path as the file's own will be."""
    from importlib import resources

    return _below(resources.files("keyfob.scaffold").joinpath("templates", *folder.split("/")), "")


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _below(each, f"{path}{each.name}/")
        elif each.name.endswith(_SUFFIX):
            yield path + each.name.removesuffix(_SUFFIX), each.read_text("utf-8")
