"""`keyfob doctor`: look at everything that can stand between a provider and its credential; change nothing.

Reads only: no entry's command is run, no issuer asked, no refresh token spent, no keyring unlocked; each plugin is
loaded in a process of its own first. JSON: {"ok", "findings": [{"topic", "level", "message", "mend"}]}. level: ok,
note, warning or problem; mend: what to do, or null.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from keyfob.cli.text import Cell, homely
from keyfob.errors import EXIT_OK, EXIT_REFUSED, KeyfobError, PluginError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from keyfob.cli.commands import Parser
    from keyfob.cli.doctor.finding import Examination, Finding
    from keyfob.cli.run import Session

_STYLES = {"ok": "green", "note": "", "warning": "yellow", "problem": "red"}


def arguments(parser: Parser) -> None:
    """--json alone."""
    parser.add_json()
    parser.epilog = "Reads only. exit code: 1 if there is a problem; warnings and notes do not count."


def run(options: argparse.Namespace, session: Session) -> int:
    """Examine it all."""
    from keyfob.cli.doctor.examinations import EXAMINATIONS

    session.listening = False  # what is said in passing elsewhere is a finding here
    _try_plugins(session)
    found = [one for examination in EXAMINATIONS for one in _examined(examination, session)]
    ok = all(one.level != "problem" for one in found)
    if options.json:
        session.terminal.document({"ok": ok, "findings": [asdict(one) for one in found]})
    else:
        session.terminal.table((), [row for one in found for row in _rows(one, session)])
    return EXIT_OK if ok else EXIT_REFUSED


def _try_plugins(session: Session) -> None:
    """Have no plugin imported here that is found unsound, or slow, in a process of its own."""
    from keyfob.cli.trial import problems
    from keyfob.routing.requirements import mended

    with contextlib.suppress(KeyfobError):  # it is told with the configuration
        plugins = session.host.plugins
        found = problems(plugins.accepted, session)
        unsound = {declared: problem for declared, problem in found.items() if problem}
        plugins.avoided.update({one: PluginError(problem, hint=mended(one)) for one, problem in unsound.items()})


def _examined(examination: Examination, session: Session) -> Iterator[Finding]:
    """What one examination finds; one that breaks is a finding itself, and the others go on."""
    from keyfob.cli.doctor.finding import Finding

    try:
        yield from list(examination.look(session)) or [Finding(examination.topic, "ok", examination.sound)]
    except KeyfobError as error:
        for line in str(error).split("\n"):
            yield Finding(examination.topic, "problem", line, error.hint)
    except Exception as error:  # noqa: BLE001  # one part that cannot be looked at must not hide the others
        yield Finding(examination.topic, "problem", f"could not be examined: {type(error).__name__}")


def _rows(one: Finding, session: Session) -> list[tuple[Cell | str, ...]]:
    """One row; for a person what to do stands below."""
    if not session.terminal.interactive:
        return [(one.level, one.topic, one.message, one.mend or "")]
    message = homely(one.message, session.environ.get("HOME"))
    first: tuple[Cell | str, ...] = (Cell(one.level, _STYLES[one.level]), Cell(one.topic, "bold"), message)
    return [first, ("", "", f"→ {one.mend}")] if one.mend else [first]
