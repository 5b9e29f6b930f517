"""`keyfob config schema`: the JSON Schema of `config.toml` and `keyfob.toml`, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session


def arguments(parser: Parser) -> None:
    """What to print; there is one thing so far."""
    parser.add_argument("what", choices=("schema",), help="the JSON Schema of both files, installed plugins' included")
    parser.add_argument("--json", action="store_true", help="it is JSON in any case")


def run(options: argparse.Namespace, session: Session) -> int:
    """Print it. What it lacks, because a plugin is broken, is said too."""
    del options
    from keyfob.config.schema import schema

    document = schema(session.host.plugins)
    session.terminal.document(document)
    if "$comment" in document:
        session.terminal.warn(document["$comment"])
    return 0
