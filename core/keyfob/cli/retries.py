"""When a request that failed is tried again: `request_max_retries` as Codex counts it."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. Codex's first pause, doubled each time; random, so that those who failed together do not return together.
BASE = 0.2
_LONGEST = 10.0
_JITTER = 0.1
# Who is asked to wait longer than this wants to see the answer, not a command that stands still.
LONGEST_ASKED_FOR = 60.0
_SERVER_ERROR = 500


class Retries:
    """The tries of one request after the first. limit: how many. jitter: a random number between two."""

    def __init__(self, limit: int, jitter: Callable[[float, float], float] = random.uniform) -> None:
        self.limit = limit
        self.made = 0
        self._jitter = jitter

    def pause(self, status: int | None, retry_after: str | None = None) -> float | None:
        """Seconds until the next try; None: there is none. status: the answer's, None if the connection failed.

        retry_after: the header's value; a number of seconds is followed (RFC 9110, section 10.2.3), a date is not.
        """
        if self.made >= self.limit or (status is not None and status < _SERVER_ERROR):
            return None
        usual = min(BASE * 2.0**self.made, _LONGEST) * self._jitter(1 - _JITTER, 1 + _JITTER)
        asked_for = float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,9}", retry_after) else 0.0
        if asked_for > LONGEST_ASKED_FOR:
            return None
        self.made += 1
        return max(usual, asked_for)
