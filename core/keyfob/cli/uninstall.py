"""`keyfob uninstall`: take back what `keyfob install` wrote into another program's configuration, to the byte.

json: {"tool", "removed": [{"provider", "written", "files": [{"path", "diff"}]}]}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.installing.arguments import TITLES, add_consent

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session


def arguments(parser: Parser) -> None:
    """Whose configuration, and whether to ask."""
    parser.add_argument("tool", choices=tuple(TITLES), help="whose configuration")
    parser.add_argument("provider", nargs="?", metavar="PROVIDER", help="left out: all that are installed there")
    add_consent(parser)
    parser.epilog = "exit code: 1 if you said no; 2 if nobody could be asked, or if it cannot be taken back exactly."


def run(options: argparse.Namespace, session: Session) -> int:
    """Show the difference, ask, and write. What that takes is not loaded for --help and completion."""
    from keyfob.cli.installing.uninstall import uninstall

    return uninstall(options, session)
