"""`keyfob plugin new`: write the files of a new plugin, which passes its own tests as it is.

JSON: {"name", "kind", "distribution", "folder", "files"}. files: paths in that folder.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from keyfob.cli.secret import typing
from keyfob.cli.terminal import OutputError
from keyfob.cli.text import homely
from keyfob.errors import UsageError
from keyfob.scaffold.files import KINDS, entry_of, files_of, write
from keyfob.scaffold.names import check_name, words_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.cli.terminal import Terminal

_NEXT = ("python -m pip install --editable . --group test", "pytest", "keyfob plugins --check")


def arguments(parser: Parser) -> None:
    """NAME, and what is to be written where."""
    parser.add_argument("name", metavar="NAME", help="the key of its table in an entry, or the id of its provider")
    parser.add_argument("--kind", choices=tuple(KINDS), help="what it is to do (default: static)")
    parser.add_argument("--into", metavar="FOLDER", help="where to write it (default: ./keyfob-NAME)")
    parser.add_json()


def run(options: argparse.Namespace, session: Session) -> int:
    """Write it, and say what to do next."""
    name: str = options.name
    check_name(name)
    kind = options.kind or _kind(session.terminal)
    distribution = words_of(name)["distribution"]
    folder, files = options.into or distribution, files_of(name, kind)
    elsewhere = os.path.join(options.into, distribution) if options.into else "FOLDER"
    again = shlex.join(["keyfob", "plugin", "new", name, "--kind", kind, "--into", elsewhere])
    _write(folder, files, session, hint=again)
    _warn_of_others(name, session.terminal)
    if options.json:
        found = {"name": name, "kind": kind, "distribution": distribution, "folder": folder, "files": list(files)}
        session.terminal.document(found)
    else:
        _tell(name, kind, folder, files, session)
    return 0


def _kind(terminal: Terminal) -> str:
    """The kind that whoever is at the terminal chooses; static where nobody is."""
    kinds = list(KINDS)
    if not (typing() and terminal.attended) or terminal.json:
        return kinds[0]
    terminal.note("what is the plugin to do?")
    terminal.show_choices(
        [f"{kind}: {words}" + (" (usual)" if kind == kinds[0] else "") for kind, words in KINDS.items()]
    )
    numbered = {str(number): kind for number, kind in enumerate(kinds, 1)} | dict(zip(kinds, kinds, strict=True))
    while (answer := terminal.ask(f"1 to {len(kinds)} [1] ") or "1") not in numbered:
        pass
    return numbered[answer]


def _write(folder: str, files: Mapping[str, str], session: Session, hint: str) -> None:
    """Write the files. Raises UsageError with that hint if one is there, and OutputError; then there are none."""
    try:
        write(folder, files)
    except OSError as error:
        place = homely(str(error.filename or folder), session.environ.get("HOME"))
        if isinstance(error, FileExistsError):
            raise UsageError(f"{place} is there already; nothing was written", hint=hint) from None
        raise OutputError(f"cannot write {place}: {error.strerror}; nothing was left of it") from error


def _warn_of_others(name: str, terminal: Terminal) -> None:
    """Of an installed plugin with that name: only one of the two could be used. Its metadata is looked at alone."""
    from keyfob.config.places import site_folders
    from keyfob.routing.installed import declarations, metadata_files

    for declared in declarations(metadata_files(site_folders())):
        if declared.name == name and declared.group != "keyfob.events":
            hint = f"choose another name, or pip uninstall {declared.distribution}"
            terminal.warn(f"{declared}, which is installed, declares `{name}` too", hint=hint)


def _tell(name: str, kind: str, folder: str, files: Mapping[str, str], session: Session) -> None:
    """Which files there are now, and what to do with them."""
    terminal = session.terminal
    terminal.note(f"{words_of(name)['distribution']} is written: {KINDS[kind]}")
    indent = "  " if terminal.interactive else ""
    for path in files:
        terminal.data(indent + os.path.join(folder, *path.split("/")))
    terminal.flush()
    terminal.note("next, in the environment that keyfob is in:")
    terminal.show(f"cd {shlex.quote(folder)}", *_NEXT)
    place = homely(os.path.join(session.places.codex_home, "keyfob.toml"), session.environ.get("HOME"))
    provider = name if kind == "provider" else "corp"
    terminal.note(f"what to write into {place}, to use it:")
    terminal.show(*entry_of(name, kind).splitlines())
    terminal.note("and what keyfob makes of that:", hint=f"keyfob explain {provider}")
