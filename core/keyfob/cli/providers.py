"""`keyfob providers`: every provider, where it goes, its plugin, and whether it is ready.

JSON: {"providers": [{"id", "default", "base_url", "plugin", "ready", "state", "faults"}]}. `ready` and what else is not
known of a broken entry is null; `state` is for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.text import Cell, homely

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.routing.explain import Explanation

# How a fault begins that is in no file.
_BUILT_IN = "configuration: "
_HEAD = ("PROVIDER", "BASE URL", "PLUGIN", "STATE")


def arguments(parser: Parser) -> None:
    """--json alone."""
    parser.add_json()


def run(options: argparse.Namespace, session: Session) -> int:
    """List them; a broken one is listed as such. Runs no command and asks nobody."""
    host, terminal = session.host, session.terminal
    found = [session.provider(name).explain() for name in host.ids]
    if options.json:
        terminal.document({"providers": [_document(one) for one in found]})
    elif terminal.interactive:
        terminal.table(_HEAD, [_row(one, session.environ.get("HOME")) for one in found])
    else:
        terminal.table((), [(*_fields(one), "default" if one.default else "") for one in found])
    if not any(one.default for one in found):
        terminal.warn(f"model_provider is {host.default_id!r}, and there is no such provider")
    return 0


def _row(one: Explanation, home: str | None) -> list[Cell]:
    name, base_url, plugin, _ = _fields(one)
    style = "green" if one.ready else "red" if _state(one).startswith("broken") else "yellow"
    return [
        Cell(f"{name} (default)" if one.default else name, "bold" if one.default else ""),
        Cell(base_url),
        Cell(plugin),
        Cell(_state(one, home), style),
    ]


def _fields(one: Explanation) -> tuple[str, str, str, str]:
    return one.provider, one.base_url or "-", one.plugin.key if one.plugin else "-", _state(one)


def _state(one: Explanation, home: str | None = None) -> str:
    """Ready, or why not: of a broken entry the first fault, which is its own, without the id that stands beside it."""
    if not one.faults:
        return one.state or "not known"
    from keyfob.config.faults import toml_key

    if one.faults[0].startswith(_BUILT_IN):  # there is no file to mend: Bedrock's ids wait for a plugin
        return one.faults[0].rpartition(": ")[2]
    why = homely(one.faults[0].partition("\n")[0], home)
    return f"broken: {why.replace(f'model_providers.{toml_key(one.provider)}', '', 1).replace(': .', ': ', 1)}"


def _document(one: Explanation) -> dict[str, object]:
    return {
        "id": one.provider,
        "default": one.default,
        "base_url": one.base_url,
        "plugin": one.plugin.key if one.plugin else None,
        "ready": one.ready if not one.faults else None,
        "state": _state(one),
        "faults": list(one.faults),
    }
