"""The frame of every command: its host, its errors and its exit code."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from keyfob.cli.commands import parsed, wants_json
from keyfob.cli.terminal import Terminal
from keyfob.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUSED, KeyfobError, UnknownProviderError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from keyfob.cli.situation import Situation
    from keyfob.config.places import Places
    from keyfob.credentials.record import Record
    from keyfob.credentials.renewal import Renewal
    from keyfob.errors import Fault
    from keyfob.host import Host
    from keyfob.plugin.interaction import Interaction
    from keyfob.providers import Provider

# With this variable set, an error is followed by where in the code it came from.
TRACE = "KEYFOB_TRACE"


class InternalError(KeyfobError):
    """A fault of keyfob's own."""

    code = "internal"


class Session:
    """What one run of a command works with.

    places: where the files are; None: where the environment says. listening: whether what has no effect is told.
    interaction: how somebody signs in, set by a command that has them do so before it uses the host; else nobody can.
    """

    def __init__(
        self, options: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal, places: Places | None
    ) -> None:
        self._options = options
        self._places = places
        self._host: Host | None = None
        self.listening = True
        self._asked = False
        self.environ = environ
        self.terminal = terminal
        self.interaction: Interaction | None = None

    @property
    def places(self) -> Places:
        """Where the files are."""
        if self._places is None:
            from keyfob.config.places import Places

            self._places = Places.of(self.environ)
        return self._places

    @property
    def host(self) -> Host:
        """The host, made when first needed, of the general options."""
        if self._host is None:
            from keyfob.host import Host

            self._host = Host(
                self.environ,
                profile=self._options.profile,
                overrides=self._options.config,
                places=self.places,
                warn=self._warn,
                renew=self._renew,
                interaction=self.interaction,
                waiting=self._wait,
            )
        return self._host

    @property
    def situation(self) -> Situation:
        """What a child needs in order to make the same host."""
        from keyfob.cli.situation import Situation

        places = self.places
        return Situation(self._options.profile, self._options.config, places.codex_home, places.system, places.cache)

    def provider(self, name: str | None) -> Provider:
        """One provider, by default the default one. Raises UnknownProviderError; other faults are met in its use."""
        self._asked = True
        provider = self.host.provider(name)
        try:
            provider.entry  # noqa: B018  # reading it is what raises
        except UnknownProviderError:
            raise
        except KeyfobError:
            pass
        return provider

    def _renew(self, renewal: Renewal, known: Record, *, forced: bool, wait: bool) -> Future[Record]:
        """A renewal outlives the command that wants it, which may be killed at any time."""
        from keyfob.cli.detached import Task, possible, renew

        if not possible():
            from keyfob.credentials.renewals import renewals

            return renewals.start(renewal, known, forced=forced, wait=wait)
        task = Task(renewal.provider, known.fingerprint, forced, wait, self.situation)
        return renew(renewal, task, self.environ)

    def _warn(self, fault: Fault) -> None:
        if self.listening:
            self.terminal.warn(str(fault))

    def _wait(self, message: str) -> None:
        if self.listening:
            self.terminal.note(message)

    def heard(self) -> None:
        """Let the plugins that listen hear the end, while what they print does not reach stdout."""
        if self._host is not None:
            self._host.heard()

    def close(self) -> None:
        """After the command, which has its answer by now: let the next start be quick.

        Only if it was about a provider: to look at them all can import plugins, which those about plugins must not.
        """
        self.terminal.flush()
        self.heard()
        self.listening = False  # what was not looked at for this command is not to be told after it
        if self._asked and self.host.snapshot is None:
            self.host.remember()


def run(
    arguments: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    make_terminal: Callable[[], Terminal] = Terminal,
    places: Places | None = None,
) -> int:
    """Run one command; returns the exit code. Errors are said on stderr: a sentence and a hint, never a traceback."""
    terminal = make_terminal()
    terminal.json = wants_json(arguments)
    try:
        return _run(arguments, environ, terminal, places)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        terminal.abandon()
        return EXIT_REFUSED


def _run(arguments: Sequence[str], environ: Mapping[str, str], terminal: Terminal, places: Places | None) -> int:
    try:
        try:
            command, options = parsed(arguments)
        except SystemExit as error:  # --help and --version
            terminal.flush()
            return error.code if isinstance(error.code, int) else EXIT_OK
        session = Session(options, environ, terminal, places)
        with contextlib.redirect_stdout(terminal.err):  # stdout is for data, whatever a plugin prints
            try:
                code = command.run(options, session)
                session.close()
            finally:
                session.heard()
        return code
    except BrokenPipeError:
        raise
    except KeyfobError as error:
        return _told(error, environ, terminal)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user is never shown a traceback
        kind = type(error).__name__  # the text of an unexpected error could hold anything
        return _told(InternalError(f"internal error: {kind}", hint=f"{TRACE}=1 shows where"), environ, terminal)


def _told(error: KeyfobError, environ: Mapping[str, str], terminal: Terminal) -> int:
    if environ.get(TRACE):
        import traceback

        traceback.print_exc(file=terminal.err)
    terminal.error(error)
    return error.exit_code
