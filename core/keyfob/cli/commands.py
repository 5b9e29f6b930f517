"""The commands and their arguments: which there are, and what stands on a command line."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from keyfob import __version__
from keyfob.errors import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.cli.run import Session

# Command → one line of help. The command's module has the same name, with `_` for a blank, and is imported when it is
# used.
COMMANDS = {
    "providers": "list the providers, where each goes, and whether it is ready",
    "explain": "say how requests to a provider are authenticated, and why",
    "token": "print a provider's token",
    "headers": "show the headers that a request to a provider gets",
    "request": "send one request to a provider, and print the answer as it arrives",
    "check": "ask providers for their models: reachable? credential accepted?",
    "exec": "run a command with a provider's base URL and key in its environment",
    "doctor": "look for what stands in the way, and say what mends it; changes nothing",
    "login": "sign in to a provider, or store a key or a token for it",
    "login export": "carry a login to another machine",
    "login import": "store a login that another machine has exported",
    "status": "say how one is signed in: as whom, until when, and what to do",
    "logout": "sign out: revoke a login, and remove it everywhere",
    "store": "say where logins are, and move them between file and keyring",
    "install": "have Codex, Claude Code or kubectl ask keyfob for a provider's token",
    "uninstall": "take back what `install` wrote, to the byte",
    "plugins": "list the plugins, and why one is not used",
    "plugin new": "write a new plugin, with its tests",
    "config": "print the JSON Schema of the configuration files",
    "completion": "print what makes a shell complete keyfob's commands",
}
# Those that run a command, which stands after `--`.
_RUNNING = {"exec", "login export"}
_ENDING = """\
exit codes: 0 done; 1 not authenticated, refused or unreachable; 2 usage or configuration; 130 interrupted.
With --json, each line on stderr is JSON too: {"error": {"code", "message", "hint"}}, {"warning": {"message"}}
or {"note": {"message"}}. `keyfob COMMAND --help` tells more of each command."""


class Command(Protocol):
    """What a command's module has."""

    def arguments(self, parser: Parser) -> None:
        """Add the command's own arguments."""
        ...

    def run(self, options: argparse.Namespace, session: Session) -> int:
        """Do it; returns the exit code. Raises KeyfobError."""
        ...


class Parser(argparse.ArgumentParser):
    """Raises its errors, so that they are said like all others. `words`: each argument's, for completion.

    repeats: whether an error may repeat what was written; not where that may be a secret.
    """

    def __init__(self, **options: Any) -> None:
        self.repeats = True
        self.words: list[argparse.Action] = []  # before argparse adds --help
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        if not self.repeats:
            message = f"the arguments of `{self.prog}` make no sense; a key or token is never one of them"
        raise UsageError(message, hint=f"{self.prog} --help") from None  # argparse's own error repeats everything

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument, and keep it."""
        self.words.append(super().add_argument(*names, **options))
        return self.words[-1]

    def add_json(self) -> None:
        """Add --json, for a command that prints data."""
        self.add_argument("--json", action="store_true", help="print JSON")

    def add_provider(self) -> None:
        """Add PROVIDER."""
        self.add_argument("provider", nargs="?", metavar="PROVIDER", help="a provider's id (default: model_provider)")


def parsed(arguments: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command that is named, and its options. Raises UsageError, and SystemExit after --help and --version."""
    at = _place_of_command(arguments)
    top = _parser()
    general = top.parse_args(arguments[:at])
    if at >= len(arguments):
        top.print_help(sys.stderr)
        raise SystemExit(EXIT_USAGE)
    name, rest = _named(arguments[at:])
    command = command_named(name)
    own, after = _split(rest) if name in _RUNNING else (rest, None)
    options = parser_of(name, command).parse_args(own)
    options.config = [*general.config, *options.config]
    options.profile = options.profile or general.profile
    options.command = after
    return command, options


def _named(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The command's name, of one word or two, and what stands behind it."""
    both = " ".join(arguments[:2])
    if both == "login status":  # as Codex spells it
        return "status", arguments[2:]
    return (both, arguments[2:]) if len(arguments) > 1 and both in COMMANDS else (arguments[0], arguments[1:])


def command_named(name: str) -> Command:
    """The module of a command. Raises UsageError."""
    if name not in COMMANDS:
        begun = [each for each in COMMANDS if each.startswith(f"{name} ")]
        near = begun or difflib.get_close_matches(name, COMMANDS, n=1)
        raise UsageError(
            f"there is no command {name!r}", hint=f"did you mean `{near[0]}`?" if near else "keyfob --help"
        )
    return cast("Command", importlib.import_module(f"keyfob.cli.{name.replace(' ', '_')}"))


def parser_of(name: str, command: Command) -> Parser:
    """The parser of one command's arguments."""
    parser = Parser(prog=f"keyfob {name}", description=COMMANDS[name][0].upper() + COMMANDS[name][1:])
    command.arguments(parser)
    _add_general(parser)
    return parser


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether JSON is asked for; to be known before the arguments are parsed, which may end in an error."""
    return "--json" in _split(arguments)[0]


def _place_of_command(arguments: Sequence[str]) -> int:
    """Where the command's name stands: at the first argument that is neither an option nor an option's value."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in {"-c", "--config", "-p", "--profile"} else 1
    return at


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str] | None]:
    """The arguments before the first `--`, and those after it; None where there is none."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _parser() -> Parser:
    listed = "\n".join(f"  {name:<14}{words}" for name, words in COMMANDS.items())
    parser = Parser(
        prog="keyfob",
        description="The right credentials for every model provider in Codex's config.toml.",
        epilog=f"commands:\n{listed}\n\n{_ENDING}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="keyfob [-c KEY=VALUE] [-p NAME] COMMAND …",
    )
    parser.add_argument("--version", action="version", version=f"keyfob {__version__}")
    _add_general(parser)
    return parser


def _add_general(parser: Parser) -> None:
    parser.add_argument(
        "-c", "--config", action="append", default=[], metavar="KEY=VALUE", help="set a key of the configuration"
    )
    parser.add_argument("-p", "--profile", metavar="NAME", help="read CODEX_HOME/NAME.config.toml over config.toml")
