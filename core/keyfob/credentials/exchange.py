"""The exchange: a request to an issuer and its answer, told apart by what they mean for a secret that is spent once."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to an issuer. url: shown in messages, so it holds no secret. timeout: seconds without a byte; for
    the whole answer it is twice as long. named: what names the URL, such as a variable, for messages."""

    url: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"
    timeout: float = 60.0
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the issuer answered, whole.

    date: by its own clock, in seconds since the epoch. retry_after: how many seconds it wants us to wait. None where
    it did not say.
    """

    status: int
    body: bytes = field(repr=False)
    date: float | None = None
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    def document(self) -> dict[str, Any]:
        """The JSON object in its body; empty where there is none."""
        return json_object(self.body)


class UnreachableError(Exception):
    """No connection stands: the request was not sent. unknown: nobody knows a host of that name."""

    def __init__(self, message: str = "", *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class UnansweredError(Exception):
    """The request may have been received; its answer was not, or not whole."""


if TYPE_CHECKING:
    Send = Callable[[Exchange], Answer]
    """Sends one request, follows no redirect. Raises UnreachableError, UnansweredError; before it sends anything
    ConfigError, IllegalHeaderError."""


@contextlib.contextmanager
def told(provider: str, command: str) -> Iterator[None]:
    """Say as SignInError that the issuer could not be asked while somebody signed in, and each with what to do.

    command: what to try again.
    """
    try:
        yield
    except SignInError as error:
        error.hint = error.hint or command
        raise
    except UnreachableError as error:
        raise SignInError(f"{provider}: {error}", hint="keyfob doctor") from error
    except UnansweredError as error:
        raise SignInError(f"{provider}: {error}", hint=command) from error


def json_object(text: bytes) -> dict[str, Any]:
    """The JSON object that `text` holds; empty where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
