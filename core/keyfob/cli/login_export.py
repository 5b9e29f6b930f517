"""`keyfob login export`: carry a login to another machine, without what renews it, or as a whole with --move.

The document is for `keyfob login import` there: on stdout, or on the stdin of a command that is run for it. Exit code:
1 where that command did not confirm that the login is stored.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from keyfob.cli.ending import undisturbed
from keyfob.cli.exec import started
from keyfob.cli.logins import described, login_of
from keyfob.cli.text import homely
from keyfob.cli.times import rfc3339, span
from keyfob.errors import EXIT_OK, EXIT_REFUSED, KeyfobError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from keyfob.carried import Carried
    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.cli.terminal import Terminal
    from keyfob.credentials.ending import SignedOut
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Record

# Seconds for the command: somebody may have to type a password. Whoever wants to renew the login meanwhile waits.
PATIENCE = 300.0


class UnconfirmedError(KeyfobError):
    """Nobody knows whether the login that was handed over is stored there."""

    code = "unconfirmed"


def arguments(parser: Parser) -> None:
    """PROVIDER and --move; what stands after `--` is the command."""
    parser.usage = (
        "keyfob login export [PROVIDER] | ssh HOST keyfob login import\n"
        "       keyfob login export [PROVIDER] [--move] -- COMMAND …"
    )
    parser.add_provider()
    parser.add_argument(
        "--move",
        action="store_true",
        help="carry the whole login, and remove it here once COMMAND has confirmed that it is stored",
    )


def run(options: argparse.Namespace, session: Session) -> int:
    """Print it, or hand it to the command."""
    login = login_of(session, options.provider, "login export")
    if options.move and not options.command:
        message = "--move has to know that the login has arrived: let keyfob run the command that stores it"
        raise UsageError(message, hint=f"keyfob login export {login.provider} --move -- ssh HOST keyfob login import")
    if not options.command and session.terminal.interactive:
        message = "a login is not printed on a terminal: whoever sees it could use it"
        raise UsageError(message, hint=f"keyfob login export {login.provider} | ssh HOST keyfob login import")
    if session.terminal.attended:
        login.store.unlock()
    return _move(login, options.command, session) if options.move else _lend(login, options.command, session)


def _lend(login: Login, command: Sequence[str] | None, session: Session) -> int:
    """Give away what can be used in two places."""
    from keyfob.carrying import without_renewal

    record, carried = without_renewal(session.host.provider(login.provider), login)
    if command:
        _hand_over(carried, command, session.environ)
    else:
        session.terminal.data(carried.text)
    words, until = described(login, record), rfc3339(record.expires_at)
    if record.secret is None:
        session.terminal.note(f"{words}: it can be used in both places" + (f" until {until}" if until else ""))
    else:
        what = f"it can be used there {f'until {until}' if until else 'until it expires'}, and cannot be renewed there"
        session.terminal.note(f"{words}: {what}; --move would carry all of it")
    return EXIT_OK


def _move(login: Login, command: Sequence[str], session: Session) -> int:
    """Give all of it away."""
    from keyfob.carrying import move

    provider = session.host.provider(login.provider)
    places = session.host.stores(provider.route.plugin, provider.id)
    with contextlib.ExitStack() as until_it_is_removed:

        def hand_over(record: Record, carried: Carried) -> None:
            session.terminal.note(f"{described(login, record)}: handing all of it to {command[0]}")
            with _told_that_it_stays(login, record, session.terminal):
                _hand_over(carried, command, session.environ)
                until_it_is_removed.enter_context(undisturbed())

        done = move(provider, login, places, hand_over)
    return _tell(login, done, session)


@contextlib.contextmanager
def _told_that_it_stays(login: Login, record: Record, terminal: Terminal) -> Iterator[None]:
    """Around the handing over: where that was broken off, nobody knows how far it came."""
    stays = f"{login.provider}: the login stays here; it may be stored there, too"
    mend = f"keyfob status, there; if it has arrived, keyfob logout {login.provider} --local on one of the two"
    if record.secret is not None:
        stays, mend = f"{stays}, and then the first renewal ends the other", f"{mend}, before either renews it"
    try:
        yield
    except UnconfirmedError as error:
        raise UnconfirmedError(f"{error}. {stays}", hint=mend) from None
    except KeyfobError:  # the command was not run
        raise
    except BaseException:  # Ctrl-C, or a signal
        terminal.warn(f"{stays}: {mend}")
        raise


def _hand_over(carried: Carried, command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the command with the document on its stdin. Raises UnconfirmedError, NotFoundError, NotExecutableError."""
    name = command[0]
    with started(command):
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ))
    said = _said(running, carried.text.encode(), name)
    if running.returncode or carried.receipt not in map(str.strip, said.decode("utf-8", "replace").splitlines()):
        raise UnconfirmedError(f"{name} ended with {running.returncode}, and did not confirm that the login is stored")


def _said(running: subprocess.Popen[bytes], document: bytes, name: str) -> bytes:
    """What the command says to the document, once it has ended; with whatever is raised here, it has too."""
    with running:
        try:
            return running.communicate(document, timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            raise UnconfirmedError(f"{name} took longer than {span(PATIENCE)}, and was ended") from None
        except OSError as error:
            raise UnconfirmedError(f"{name} could not be spoken with: {error.strerror}") from error
        finally:
            running.kill()  # does nothing to one that has ended


def _tell(login: Login, done: SignedOut, session: Session) -> int:
    """What is gone here; exit code 1 where the login could not be removed, or was renewed by another program."""
    for place in done.removed:
        session.terminal.note(f"{login.provider}: moved; {homely(place, session.environ.get('HOME'))} is removed")
    for error in done.failed:
        session.terminal.error(error)
    if done.removed and not done.failed:
        return EXIT_OK
    why = "it could not be removed here" if done.failed else "another program has changed it here meanwhile"
    mend = f"keyfob logout {login.provider} --local, on one of the two, before either renews it"
    session.terminal.error(UnconfirmedError(f"{login.provider}: the login is stored there, but {why}", hint=mend))
    return EXIT_REFUSED
