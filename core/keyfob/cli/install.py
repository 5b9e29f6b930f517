"""`keyfob install`: have another program ask keyfob, by a line in its own configuration; the difference is shown first.

json: {"tool", "provider", "written", "remark", "files": [{"path", "diff"}]}; remark: why there is nothing to write, or
null. Values that may be secrets are left out of the differences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.installing.arguments import TITLES, add_consent

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session


def arguments(parser: Parser) -> None:
    """Whose configuration, which provider, and whether to ask."""
    parser.add_argument("tool", choices=tuple(TITLES), help="whose configuration")
    parser.add_argument("provider", metavar="PROVIDER", help="whose token it is to ask for")
    parser.add_argument("--user", metavar="NAME", help="for kubectl: the user in the kubeconfig (default: PROVIDER)")
    parser.add_argument("--anyway", action="store_true", help="for codex: also where it needs no help")
    add_consent(parser)
    parser.epilog = "keyfob uninstall takes it back. exit code: 1 if you said no; 2 if nobody could be asked."


def run(options: argparse.Namespace, session: Session) -> int:
    """Show the difference, ask, and write. What that takes is not loaded for --help and completion."""
    from keyfob.cli.installing.install import install

    return install(options, session)
