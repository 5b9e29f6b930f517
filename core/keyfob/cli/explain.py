"""`keyfob explain`: the whole decision about one provider, and whether its credential would go to a URL.

JSON: the fields of `keyfob.routing.explain.Explanation` under their names; `expires_at` is an RFC 3339 time.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from keyfob.cli.text import Cell, homely
from keyfob.cli.times import rfc3339
from keyfob.errors import EXIT_OK, EXIT_REFUSED, EXIT_USAGE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.routing.explain import Explanation

    Row = tuple[str, Cell]


def arguments(parser: Parser) -> None:
    """PROVIDER and URL."""
    parser.add_provider()
    parser.add_argument("url", nargs="?", metavar="URL", help="also say whether the credential would be sent there")
    parser.add_json()
    parser.epilog = "exit codes: 1 if the credential would not be sent to URL; 2 if the entry is broken."


def run(options: argparse.Namespace, session: Session) -> int:
    """Explain it. Runs no command and asks nobody."""
    found = session.provider(options.provider).explain(options.url)
    if options.json:
        session.terminal.document({**asdict(found), "expires_at": rfc3339(found.expires_at)})
    else:
        rows = list(_rows(found))
        interactive = session.terminal.interactive
        session.terminal.table((), _for_a_person(rows, session.environ.get("HOME")) if interactive else rows)
    if found.faults:
        return EXIT_USAGE
    return EXIT_OK if found.verdict is None or found.verdict.sent else EXIT_REFUSED


def _for_a_person(rows: list[Row], home: str | None) -> list[tuple[Cell, Cell]]:
    """The rows for a terminal: a label stands where it is new, and the home folder is `~`."""
    labels = ["", *(label for label, _ in rows)]
    return [
        (Cell("" if label == before else label, "dim"), Cell(homely(words.text, home), words.style))
        for before, (label, words) in zip(labels, rows, strict=False)
    ]


def _rows(found: Explanation) -> Iterator[Row]:
    yield "provider", Cell(f"{found.provider} (default)" if found.default else found.provider, "bold")
    yield from _decision(found)
    yield from _credential(found)
    yield from _reach(found)
    for setting in found.settings:
        overruled = "" if setting.wins else ", overruled"
        yield "set in", Cell(f"{setting.place}: {setting.key} ({setting.layer}{overruled})")
    for fault in found.faults:
        for line in fault.split("\n"):
            yield "broken", Cell(line, "red")


def _decision(found: Explanation) -> Iterator[Row]:
    """The plugin, why it, and why not another."""
    if found.plugin:
        plugin = found.plugin
        yield "plugin", Cell(f"{plugin.key}, of {plugin.distribution} {plugin.version}")
        yield "its code", Cell(plugin.file)
        winners = [claim.key for claim in found.claims if claim.ignored is None]
        yield "because", Cell(f"`{winners[0]}` is set" if winners else "no key says how to authenticate")
    for claim in found.claims:
        if claim.ignored is not None:
            yield "ignored", Cell(f"`{claim.key}` ({claim.plugin}): {claim.ignored}")


def _credential(found: Explanation) -> Iterator[Row]:
    """Where it comes from, whether it is there and may be used, and until when it is good."""
    if found.state is not None:
        yield "state", Cell(found.state, "green" if found.ready else "yellow")
    if found.comes_from is not None:
        yield "credential", Cell(found.comes_from)
    for rule in found.policy:
        yield "policy", Cell(rule)
    if found.expires_at is not None:
        yield "good until", Cell(rfc3339(found.expires_at) or "beyond the year 9999")
    elif found.state is not None:
        yield "good until", Cell("not known")


def _reach(found: Explanation) -> Iterator[Row]:
    """What is sent, where it may go, and whether it would go to the URL."""
    if found.state is not None:
        yield "headers", Cell(", ".join(found.headers) or "none")
        yield "query", Cell(", ".join(found.query_params) or "none")
    if found.base_url is not None and found.origin is not None:
        yield "origin", Cell(found.origin)
        yield "base path", Cell(found.base_url.removeprefix(found.origin) or "/")
    if found.verdict:
        sent = "would be sent" if found.verdict.sent else "would not be sent"
        style = "green" if found.verdict.sent else "red"
        yield "to the URL", Cell(f"{sent} to {found.verdict.url}: {found.verdict.reason}", style)
