"""What both commands take. Apart from all else, so that completion and --help load nothing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob.cli.commands import Parser

# Whose configuration keyfob edits, by the words of the command line.
TITLES = {"codex": "Codex", "claude-code": "Claude Code", "kubectl": "kubectl"}


def add_consent(parser: Parser) -> None:
    """Add what says whether to write."""
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="only show the difference, and write nothing")
    parser.add_json()
