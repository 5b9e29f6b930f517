"""What `keyfob uninstall` does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from keyfob.cli.installing.arguments import TITLES
from keyfob.cli.installing.consent import declined, documents, show
from keyfob.cli.installing.edits import Edit, check_unchanged
from keyfob.cli.installing.installations import CannotTakeBackError, Installations
from keyfob.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from keyfob.cli.installing.installations import Installation
    from keyfob.cli.run import Session

# The lines that go are those that keyfob has written.
_OURS = "-"


def uninstall(options: argparse.Namespace, session: Session) -> int:
    """Take back each of them, the last one first."""
    installations = Installations(session.places.codex_home, options.tool)
    found = [each for each in reversed(installations.read()) if options.provider in (None, each.provider)]
    if not found and not options.json:
        what = f"{options.provider} is not installed" if options.provider else "nothing is installed"
        session.terminal.note(f"nothing to do. {what} for {TITLES[options.tool]}")
    removed: list[dict[str, object]] = []
    code: int | None = None
    for each in found:
        edits = _edits(each, installations, options, session)
        code = _removed(each, edits, installations, options, session)
        removed.append({"provider": each.provider, "written": code is None, "files": documents(edits, session, _OURS)})
        if code:
            break
    if options.json:
        session.terminal.document({"tool": options.tool, "removed": removed})
    return code or EXIT_OK


def _edits(
    each: Installation, installations: Installations, options: argparse.Namespace, session: Session
) -> Sequence[Edit]:
    """What takes it back, in the reverse order. Raises ConfigError, and shows what it cannot do."""
    if not each.stands(options.tool):
        return []  # somebody has taken it back by hand
    try:
        return [edit for edit in (done.undoing(options.tool) for done in reversed(each.files)) if edit]
    except CannotTakeBackError:
        if not options.json:
            show([Edit(done.path, new, old) for done in each.files for old, new in done.hunks], session, _OURS)
        session.terminal.note(f"what was installed, and what it had replaced, is in {installations.path}")
        raise


def _removed(
    each: Installation,
    edits: Sequence[Edit],
    installations: Installations,
    options: argparse.Namespace,
    session: Session,
) -> int | None:
    """Write them, if that is wanted; None if it was done, else the exit code."""
    command = shlex.join(["keyfob", "uninstall", options.tool, each.provider])
    code = declined(edits, options, session, command, _OURS) if edits or options.dry_run else None
    if code is not None:
        return code
    with installations.lock():
        check_unchanged(edits)
        for edit in edits:
            edit.write()
        installations.write([other.beside(each, edits) for other in installations.read() if other != each])
    session.terminal.note(f"{TITLES[options.tool]} does not ask keyfob for the token of {each.provider} any more")
    return None
