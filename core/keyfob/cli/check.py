"""`keyfob check`: ask providers for their models, all at once.

JSON: {"providers": [{"provider", "ok", "reachable", "credential", "status", "error", "latency_ms", "models",
"problem", "hint"}]}; see `checking.Finding`.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from keyfob.cli.text import Cell
from keyfob.errors import EXIT_OK, EXIT_REFUSED

if TYPE_CHECKING:
    from keyfob.cli.checking import Finding
    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session

_HEAD = ("PROVIDER", "REACHABLE", "CREDENTIAL", "LATENCY", "ANSWER")
_STYLES = {"accepted": "green", "not needed": "green", "refused": "red", "missing": "red", "unclear": "yellow"}
# Seconds for one provider in all; a token command has five by itself.
_TIMEOUT = 15.0
_NAMES_SHOWN = 3


def arguments(parser: Parser) -> None:
    """PROVIDER…, and for how long."""
    parser.add_argument(
        "providers", nargs="*", metavar="PROVIDER", help="ids (default: all that the configuration files define)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=_TIMEOUT, metavar="SECONDS", help=f"for each (default: {_TIMEOUT:g})"
    )
    parser.add_json()
    parser.epilog = "exit code: 1 if one of them cannot be used."


def _seconds(text: str) -> float:
    value = float(text) if re.fullmatch(r"[0-9.]+", text) and text.count(".") < 2 and text != "." else math.nan
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def run(options: argparse.Namespace, session: Session) -> int:
    """Check them."""
    import asyncio

    from keyfob.cli.checking import checked

    names = options.providers or session.host.configuration.user_ids or [None]
    providers = list({provider.id: provider for provider in map(session.provider, names)}.values())
    findings = asyncio.run(checked(providers, options.timeout))
    terminal = session.terminal
    if options.json:
        terminal.document({"providers": [{**asdict(one), "ok": one.ok} for one in findings]})
    else:
        rows = [_row(one) if terminal.interactive else _fields(one) for one in findings]
        terminal.table(_HEAD if terminal.interactive else (), rows)
        for one in findings:
            if one.hint:
                terminal.note(f"what to do about {one.provider}:", hint=one.hint)
    return EXIT_OK if all(one.ok for one in findings) else EXIT_REFUSED


def _row(finding: Finding) -> list[Cell]:
    name, reachable, credential, latency, answer = _fields(finding)
    return [
        Cell(name),
        Cell(reachable, {"yes": "green", "no": "red"}.get(reachable, "")),
        Cell(credential, _STYLES.get(credential, "")),
        Cell(latency),
        Cell(answer, "" if finding.ok else "red"),
    ]


def _fields(finding: Finding) -> tuple[str, str, str, str, str]:
    reachable = {True: "yes", False: "no", None: "-"}[finding.reachable]
    latency = "-" if finding.latency_ms is None else f"{finding.latency_ms} ms"
    answer = finding.problem or _summary(finding.models or [])
    return finding.provider, reachable, finding.credential or "-", latency, answer


def _summary(models: list[str]) -> str:
    names = ", ".join(models[:_NAMES_SHOWN]) + (", …" if len(models) > _NAMES_SHOWN else "")
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    return f"{count}: {names}" if models else count
