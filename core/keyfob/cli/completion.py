"""`keyfob completion`: what makes bash, zsh or fish complete commands, options and the ids of providers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keyfob.cli import shells
from keyfob.cli.commands import COMMANDS, command_named, parser_of
from keyfob.cli.text import printable
from keyfob.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session

_SHELLS = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}
# What stands for an argument in the help → how its values are found.
_LOOKED_UP = {"PROVIDER": shells.Kind.IDS, "DATA": shells.Kind.FILES, "FOLDER": shells.Kind.FILES}
_EPILOG = """\
bash: write into ~/.bashrc   eval "$(keyfob completion bash)"
zsh:  write into ~/.zshrc    eval "$(keyfob completion zsh)"
fish: once                   keyfob completion fish > ~/.config/fish/completions/keyfob.fish"""


def arguments(parser: Parser) -> None:
    """The shell; hidden, as the scripts alone ask for them: the ids."""
    parser.add_argument("shell", nargs="?", choices=tuple(_SHELLS), help="print the script for it")
    parser.add_argument("--ids", action="store_true", help=argparse.SUPPRESS)
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(options: argparse.Namespace, session: Session) -> int:
    """Print the script, or the ids."""
    if options.ids:
        for name in _ids(options, session):
            if printable(name) == name:  # else no shell could write it on its line
                session.terminal.data(name)
    elif options.shell:
        session.terminal.data(_SHELLS[options.shell]([_words(name) for name in COMMANDS]))
    else:
        raise UsageError("for which shell?", hint=f"keyfob completion {' | '.join(_SHELLS)}")
    return 0


def _ids(options: argparse.Namespace, session: Session) -> Iterable[str]:
    """The ids of all providers, from the snapshot where it holds: the host takes ten times as long to be there."""
    from keyfob.config import snapshot

    bypassed = options.config or any(name in session.environ for name in snapshot.BYPASS)
    if not bypassed and not session.places.codex_home_fault:
        held = snapshot.load(session.places, options.profile)
        if held is not None and held.ids is not None:
            return held.ids
    return session.host.ids


def _words(name: str) -> shells.Words:
    """What can stand after one command."""
    shown = [action for action in parser_of(name, command_named(name)).words if action.help != argparse.SUPPRESS]
    options = [
        shells.Option(tuple(action.option_strings), action.help or "", None if action.nargs == 0 else _values(action))
        for action in shown
        if action.option_strings
    ]
    places = [_values(action) for action in shown if not action.option_strings]
    second = places[1] if len(places) > 1 and isinstance(places[0], tuple) and places[0] else None
    return shells.Words(name, COMMANDS[name], options, places[0] if places else (), second)


def _values(action: argparse.Action) -> shells.Values:
    if action.choices is not None:
        return tuple(map(str, action.choices))
    return _LOOKED_UP.get(str(action.metavar), ())
