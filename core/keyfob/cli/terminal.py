"""Where things are printed: data on stdout, everything else on stderr; colour and tables only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.errors import KeyfobError


class Terminal:
    """The two streams of a command, and what may be done on them."""

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self._environ = environ

    def data(self, text: str) -> None:
        """Print a line of data."""
        print(text, file=self.out)

    def note(self, text: str) -> None:
        """Say something to a person."""
        print(f"keyfob: {text}", file=self.err)

    def error(self, error: KeyfobError) -> None:
        """Say what is wrong, and what to do about it."""
        self.note(str(error))
        if error.hint:
            print(f"  → {error.hint}", file=self.err)
