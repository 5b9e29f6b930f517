"""Lines of what is typed at a keyboard that edits none itself."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a terminal puts around a paste, and what arrow keys send (ECMA-48, section 5.4); and the beginning of one.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BEGUN = re.compile(r"\x1b(\[[0-?]{0,32}[ -/]{0,8})?\Z")
# Letters of a line. No address is as long; the rest of one that is makes no sense alone, and is refused as such.
_LONGEST = 1024 * 1024


class Lines:
    """Makes lines of what is typed, with the keys that mend one, and without control characters."""

    def __init__(self) -> None:
        self._decoded = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._sequence = ""
        self._letters: list[str] = []

    def of(self, typed: bytes) -> Iterator[str]:
        """The lines that are complete with this."""
        words = _SEQUENCE.sub("", self._sequence + self._decoded(typed))
        begun = _BEGUN.search(words)
        self._sequence = begun[0] if begun else ""
        for letter in words[: len(words) - len(self._sequence)]:
            if letter in "\r\n":
                yield "".join(self._letters)
                self._letters.clear()
            else:
                self._heed(letter)

    def _heed(self, letter: str) -> None:
        """A letter more; backspace and Ctrl-U are obeyed."""
        if letter in "\b\x7f":
            del self._letters[-1:]
        elif letter.isprintable():
            self._letters.append(letter)
        if letter == "\x15" or len(self._letters) == _LONGEST:
            self._letters.clear()

    @property
    def begun(self) -> int:
        """The letters of the line that is not complete."""
        return len(self._letters)
