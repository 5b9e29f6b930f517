"""How a sign-in speaks with the person who signs in; where nobody is, it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from keyfob.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event


class Interaction(Protocol):
    """The person who signs in, as a flow sees them. Nothing that it is told is kept."""

    def say(self, message: str) -> None:
        """Tell them something, in a sentence or two."""
        ...

    def show(self, line: str) -> None:
        """Show an address or a code, alone on its line, as it is: it will be copied."""
        ...

    def visit(self, url: str, port: int) -> None:
        """Send them to an address with their browser, which comes back to this port of loopback, on this machine.

        Does not wait. What to do where the browser is on another machine is said here, too.
        """
        ...

    def secret(self, what: str, whom: str) -> str:
        """What they type, which is not shown, or pipe in: one line. what: such as `client secret`; whom: who gets it.

        Raises CredentialError where nothing is given.
        """
        ...

    def wait(
        self,
        seconds: float,
        *,
        left: float,
        done: Event | None = None,
        typed: Callable[[str], str | None] | None = None,
    ) -> None:
        """Wait so many seconds, or until `done` is set, and show how long they have `left`, in seconds.

        typed: told each line that they paste meanwhile; returns why it is of no use, or None. Raises
        KeyboardInterrupt.
        """
        ...


class Nobody:
    """Nobody is there: a program that uses a login must never be held up by one who is asked to make it."""

    def _refuse(self) -> NoReturn:
        raise SignInError("to sign in takes a person, and nobody is there", hint="keyfob login")

    def say(self, message: str) -> None:
        """Refuse."""
        self._refuse()

    def show(self, line: str) -> None:
        """Refuse."""
        self._refuse()

    def visit(self, url: str, port: int) -> None:
        """Refuse."""
        self._refuse()

    def secret(self, what: str, whom: str) -> str:
        """Refuse."""
        self._refuse()

    def wait(
        self,
        seconds: float,
        *,
        left: float,
        done: Event | None = None,
        typed: Callable[[str], str | None] | None = None,
    ) -> None:
        """Refuse."""
        self._refuse()
