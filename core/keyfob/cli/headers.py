"""`keyfob headers`: the headers that a request to a provider gets.

JSON: {"provider", "base_url", "headers": {name: value}}. On a terminal values are masked unless --reveal is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.policy import obeyed
from keyfob.cli.unprinted import unprinted
from keyfob.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session

_MASK = "********"


def arguments(parser: Parser) -> None:
    """PROVIDER, and whether to show values."""
    parser.add_provider()
    parser.add_argument("--reveal", action="store_true", help="show the values on a terminal too")
    parser.add_json()


def run(options: argparse.Namespace, session: Session) -> int:
    """Print them."""
    provider, terminal = session.provider(options.provider), session.terminal
    signing = provider.signing
    if signing.signer is not None:
        raise UsageError(
            f"{provider.id} signs each request: its headers depend on it",
            hint=f"keyfob request PATH --provider {provider.id}",
        )
    masked = terminal.interactive and not options.reveal
    with obeyed(provider), unprinted():
        found = {name: _MASK if masked else value for name, value in provider.headers().items()}
    if options.json:
        terminal.document({"provider": provider.id, "base_url": str(provider.base_url), "headers": found})
    else:
        for name, value in found.items():
            terminal.data(f"{name}: {value}")
    for note in _notes(found, list(signing.additions.query), masked=masked):
        terminal.note(note)
    return 0


def _notes(found: dict[str, str], query: list[str], *, masked: bool) -> list[str]:
    notes = [] if found else ["a request gets no header"]
    if query:
        notes.append(f"a request also gets query parameters: {', '.join(query)}")
    if found and masked:
        notes.append("values are not shown on a terminal; --reveal shows them")
    return notes
