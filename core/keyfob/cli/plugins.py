"""`keyfob plugins`: what is declared, by whom, and why it is not heard; from metadata alone, unless --check is given.

JSON: {"plugins": [{"kind", "name", "distribution", "version", "built_in", "refused", "problem"}]}. kind: auth (name is
a config key), provider (an id) or events. refused: why it is not used, or null. problem: what --check found, or null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.cli.text import Cell
from keyfob.cli.trial import LIMIT, problems
from keyfob.errors import EXIT_OK, EXIT_REFUSED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.routing.installed import Declaration
    from keyfob.routing.plugins import Plugins

_HEAD = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "STATE")
_KINDS = {"keyfob.auth": "auth", "keyfob.providers": "provider", "keyfob.events": "events"}


@dataclass(frozen=True)
class Listed:
    """One declaration, and what is known of it."""

    declaration: Declaration
    built_in: bool = False
    refused: str | None = None


def arguments(parser: Parser) -> None:
    """--check and --json."""
    parser.add_argument(
        "--check", action="store_true", help=f"load each in a process of its own, for {LIMIT:g} s at most"
    )
    parser.add_json()
    parser.epilog = "exit code: 1 if --check finds one that cannot be used."


def run(options: argparse.Namespace, session: Session) -> int:
    """List them."""
    listed = _listed(session.host.plugins)
    found = problems([one.declaration for one in listed if one.refused is None], session) if options.check else {}
    if options.json:
        session.terminal.document({"plugins": [_document(one, found) for one in listed]})
    else:
        rows = [_row(one, found, checked=options.check) for one in listed]
        session.terminal.table(_HEAD if session.terminal.interactive else (), rows)
    if session.environ.get("KEYFOB_DISABLE_PLUGINS"):
        session.terminal.note("KEYFOB_DISABLE_PLUGINS is set: only the built-in plugins are used")
    return EXIT_REFUSED if any(found.values()) else EXIT_OK


def _listed(plugins: Plugins) -> list[Listed]:
    from keyfob.routing.builtin import MODULES, declaration
    from keyfob.routing.requirements import unmet

    return [
        *(Listed(declaration(key), built_in=True) for key in MODULES),
        *(Listed(accepted, refused=unmet(accepted)) for accepted in plugins.accepted),
        *(Listed(refusal.declaration, refused=refusal.reason) for refusal in plugins.refused),
    ]


def _row(one: Listed, problems: Mapping[Declaration, str | None], *, checked: bool) -> list[Cell | str]:
    declared = one.declaration
    return [
        _KINDS[declared.group],
        Cell(declared.name, "bold"),
        declared.distribution,
        declared.version,
        _state(one, problems.get(declared), checked=checked),
    ]


def _state(one: Listed, problem: str | None, *, checked: bool) -> Cell:
    if one.refused:
        return Cell(f"refused: {one.refused}", "yellow")
    if problem:
        return Cell(f"broken: {problem}", "red")
    state = "built in" if one.built_in else "declared"
    return Cell(f"{state}, can be loaded" if checked else state, "green")


def _document(one: Listed, problems: Mapping[Declaration, str | None]) -> dict[str, object]:
    declared = one.declaration
    return {
        "kind": _KINDS[declared.group],
        "name": declared.name,
        "distribution": declared.distribution,
        "version": declared.version,
        "built_in": one.built_in,
        "refused": one.refused,
        "problem": problems.get(declared),
    }
