"""What a model server receives, and what a script tells it to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire. Its repr holds no header value, query or body: those carry secrets."""

    method: str
    path: str
    """The request target up to `?`, not decoded or normalised."""
    query: str = field(repr=False)
    """What follows `?`, not decoded; empty if there is none."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Name and value of each header, in order, spelt as sent; bytes beyond ASCII are read as ISO-8859-1."""
    body: bytes = field(repr=False)
    """Without transfer coding, but with its content coding (Codex sends zstd)."""
    answered: int | None = None
    """The status that was sent; None if the script says to hang or to close instead."""

    def header(self, name: str) -> str | None:
        """Return the first value of the header `name` (in any case), or None."""
        return next(iter(self.header_list(name)), None)

    def header_list(self, name: str) -> list[str]:
        """Return every value of the header `name` (in any case), in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server's script.

    `body` is bytes or text sent as it is, anything else is sent as JSON; None is what comes with that status: for 200
    the endpoint's ordinary answer, from 400 on an error as OpenAI writes it, otherwise nothing. So `Answer()` is the
    ordinary answer, `Answer(drip_s=0.1)` the same slowly, and `Answer(307, {"Location": url})` a redirect.

    A body goes out in pieces: an event stream by its events, anything else in two halves.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    delay_s: float = 0.0
    """Seconds before the first byte."""
    drip_s: float = 0.0
    """Seconds between two pieces of the body."""
    hang: bool = False
    """Stop there without a word: the connection stays open until the client, or the server, gives up."""
    close: bool = False
    """Close the connection there."""
    after: int | None = None
    """With `hang` or `close`, where "there" is: after that many pieces of the body; None is before the status line."""

    def __post_init__(self) -> None:
        """Refuse what would quietly do something else.

        Raises ValueError for `after` without `hang` or `close`, for both of these at once, and for a status outside 200
        to 599.
        """
        if self.hang and self.close:
            raise ValueError("an answer cannot both hang and close")
        if self.after is not None and not (self.hang or self.close):
            raise ValueError("`after` says where to hang or close: set one of them")
        if not 200 <= self.status <= 599:
            raise ValueError(f"not a final HTTP status: {self.status}")

    @classmethod
    def of(cls, scripted: Scripted) -> Answer:
        """The answer that a script's short form stands for (see `Scripted`). Raises ValueError for anything else."""
        match scripted:
            case Answer():
                return scripted
            case None:
                return cls()
            case "hang":
                return cls(hang=True)
            case int():
                return cls(scripted)
            case (int(status), body):
                return cls(status, body=body)
            case {"delay": int() | float() as delay_s, "then": then, **rest} if not rest:
                return replace(cls.of(then), delay_s=delay_s)
        raise ValueError(f"not an answer: a {type(scripted).__name__}; see keyfob.testing.model_server.Scripted")

    @property
    def silent(self) -> bool:
        """Whether not even a status is sent."""
        return (self.hang or self.close) and self.after is None


Scripted: TypeAlias = Answer | int | tuple[int, Any] | Sequence[Any] | Mapping[str, Any] | str | None
"""One answer of a script: None for the ordinary one, a status, a pair of status and body, an `Answer`, or, as in the
recorded runs of Codex, "hang" and {"delay": seconds, "then": one of these}."""

REFUSED: Final = Answer(401, body={"error": {
    "message": "Incorrect API key provided.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key",
}})  # fmt: skip
