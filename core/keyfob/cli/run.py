"""The frame of every command: its arguments, its host, what it prints where, and its exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING, Protocol

from keyfob import __version__
from keyfob.cli.terminal import Terminal
from keyfob.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUSED, KeyfobError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keyfob.errors import Fault
    from keyfob.host import Host

# Command → one line of help. The command's module has the same name, and is imported when it is used.
COMMANDS = {
    "providers": "list the providers, where each goes, and whether it is ready",
    "explain": "say how requests to a provider are authenticated, and why",
    "token": "print a provider's token",
    "headers": "show the headers that a request to a provider gets",
    "request": "send one request to a provider",
    "check": "ask providers for their models: reachable? credential accepted?",
    "exec": "run a command with a provider's base URL and key in its environment",
    "plugins": "list the installed plugins",
    "config": "print the JSON Schema of the configuration files",
    "completion": "print the completion script for a shell",
}


class Command(Protocol):
    """What a command's module has."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""
        ...

    def run(self, options: argparse.Namespace, session: Session) -> int:
        """Do it; returns the exit code. Raises KeyfobError."""
        ...


class Session:
    """What one run of a command works with."""

    def __init__(self, options: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> None:
        self._options = options
        self._host: Host | None = None
        self.environ = environ
        self.terminal = terminal

    @property
    def host(self) -> Host:
        """The host, made when first needed, of the global options."""
        if self._host is None:
            from keyfob.host import Host

            options = self._options
            self._host = Host(self.environ, profile=options.profile, overrides=options.config, warn=self._warn)
        return self._host

    def _warn(self, fault: Fault) -> None:
        self.terminal.note(f"warning: {fault}")

    def close(self) -> None:
        """After the command: let the next start be quick."""
        if self._host is not None:
            self._host.remember()


def run(
    arguments: Sequence[str], environ: Mapping[str, str] = os.environ, make_terminal: Callable[[], Terminal] = Terminal
) -> int:
    """Run one command; returns the exit code. Errors are said on stderr, as one sentence and a hint."""
    terminal = make_terminal()
    try:
        command, options = _parsed(arguments)
        session = Session(options, environ, terminal)
        code = command.run(options, session)
        session.close()
        return code
    except KeyfobError as error:
        terminal.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    except SystemExit as error:  # argparse: --help, --version, or a usage error that it has printed
        return error.code if isinstance(error.code, int) else EXIT_OK


def _parsed(arguments: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    top = _parser()
    options, rest = top.parse_known_args(arguments)
    command: Command = importlib.import_module(f"keyfob.cli.{options.command}")
    parser = argparse.ArgumentParser(prog=f"keyfob {options.command}", description=f"{COMMANDS[options.command]}.")
    _add_global(parser)
    command.arguments(parser)
    given = parser.parse_args(rest)
    given.config = [*options.config, *given.config]
    given.profile = given.profile or options.profile
    return command, given


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<12}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="keyfob",
        description="The right credentials for every model provider in Codex's config.toml.",
        epilog=f"commands:\n{listed}\n\n`keyfob COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="keyfob [-c KEY=VALUE] [-p PROFILE] COMMAND …",
    )
    parser.add_argument("--version", action="version", version=f"keyfob {__version__}")
    _add_global(parser)
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_global(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", action="append", default=[], metavar="KEY=VALUE", help="set a key of the configuration"
    )
    parser.add_argument("-p", "--profile", metavar="NAME", help="read CODEX_HOME/NAME.config.toml over config.toml")
