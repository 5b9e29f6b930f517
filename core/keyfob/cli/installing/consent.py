"""Showing what would be written into files that belong to others, and asking whether to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.installing.edits import difference
from keyfob.cli.secret import agreed, typing
from keyfob.cli.text import Cell, homely
from keyfob.errors import EXIT_OK, EXIT_REFUSED, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from keyfob.cli.installing.edits import Edit
    from keyfob.cli.run import Session


def declined(
    edits: Sequence[Edit], options: argparse.Namespace, session: Session, command: str, ours: str = "+"
) -> int | None:
    """Show the difference and ask; the exit code where nothing is to be written, else None.

    command: as it was given, for a hint. ours: see `difference`. Raises UsageError where nobody is there to be asked.
    """
    terminal = session.terminal
    if not options.json:
        show(edits, session, ours)
    if options.dry_run:
        terminal.note("nothing was changed")
        return EXIT_OK
    if options.yes:
        return None
    if options.json or not typing() or not terminal.attended:
        raise UsageError("nothing was changed, for nobody is there to be asked", hint=f"{command} --yes")
    terminal.flush()
    if agreed("keyfob: write this?", terminal):
        return None
    terminal.note("nothing was changed")
    return EXIT_REFUSED


def show(edits: Sequence[Edit], session: Session, ours: str) -> None:
    """Print the differences, a blank line between two files."""
    for number, edit in enumerate(edits):
        session.terminal.lines([Cell("")] * bool(number))
        session.terminal.lines(_lines(edit, session, ours))


def documents(edits: Sequence[Edit], session: Session, ours: str = "+") -> list[dict[str, str]]:
    """The same for programs."""
    return [{"path": edit.path, "diff": "\n".join(line.text for line in _lines(edit, session, ours))} for edit in edits]


def _lines(edit: Edit, session: Session, ours: str) -> Iterator[Cell]:
    return difference(edit.before, edit.after, homely(edit.path, session.environ.get("HOME")), ours)
