"""`keyfob exec`: run a command with a provider's base URL and key in its environment.

Exit codes: the command's own; 127 if it is not there, 126 if it cannot be run, as in a shell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from keyfob.cli.policy import obeyed
from keyfob.cli.variables import API_KEY, variables
from keyfob.errors import KeyfobError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.providers import Provider


class NotFoundError(KeyfobError):
    """The command is not there."""

    code = "command-not-found"
    exit_code = 127


class NotExecutableError(KeyfobError):
    """The command is there and cannot be run."""

    code = "command-not-executable"
    exit_code = 126


def arguments(parser: Parser) -> None:
    """PROVIDER; what stands after `--` is the command."""
    parser.usage = "keyfob exec [PROVIDER] -- COMMAND …"
    parser.epilog = "exit code: COMMAND's own; 127 if it is not there, 126 if it cannot be run."
    parser.add_provider()


def run(options: argparse.Namespace, session: Session) -> int:
    """Become the command."""
    if not options.command:
        raise UsageError("there is no command", hint="keyfob exec PROVIDER -- COMMAND …")
    provider = session.provider(options.provider)
    with obeyed(provider):
        environ = _environ(provider, session.environ)
    for left_out in _not_carried(provider):
        session.terminal.warn(left_out)
    session.close()
    with started(options.command):
        return _become(options.command, environ)


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[None]:
    """Around the start of a command. Raises NotFoundError, NotExecutableError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no command {command[0]!r}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the environment
        why = error.strerror if isinstance(error, OSError) else "its environment has a NUL"
        raise NotExecutableError(f"{command[0]!r} cannot be run: {why}") from None


def _environ(provider: Provider, environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with the provider's variables; also with the entry's own, where that one decides."""
    found = variables(provider)
    if provider.route.key == "env_key":
        found[str(provider.entry.fields.env_key)] = found[API_KEY]
    child = {name: value for name, value in environ.items() if name not in found}
    return child | {name: value for name, value in found.items() if value is not None}


def _not_carried(provider: Provider) -> list[str]:
    """What the entry adds to each request and no variable can say."""
    fields = provider.entry.fields
    return [
        f"{provider.id}: {key} ({', '.join(names)}) cannot be handed on in variables: the command has to add it itself"
        for key, names in (
            ("http_headers", fields.http_headers),
            ("env_http_headers", fields.env_http_headers),
            ("query_params", fields.query_params),
            ("enforce_residency", provider.judge.policy.headers),
        )
        if names
    ]


def _become(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Replace this process by the command: then its exit code and its signals need nobody to pass them on."""
    if sys.platform != "win32":  # there the caller would go on before the command has ended
        ignored = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python; the command is to find them as a shell leaves them
        before = [signal.signal(number, signal.SIG_DFL) for number in ignored]
        try:
            os.execvpe(command[0], list(command), dict(environ))  # noqa: S606  # no shell is what is wanted
        finally:  # it could not be run
            for number, was in zip(ignored, before, strict=True):
                signal.signal(number, was)
    return run_as_child(command, environ)


def run_as_child(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command and wait for it; its exit code. Ctrl-C reaches it as it reaches us, and is its business."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.call(list(command), env=dict(environ))
    finally:
        signal.signal(signal.SIGINT, before)
