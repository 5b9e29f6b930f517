"""Text for a terminal: made harmless, measured in columns, laid out as a table that fits."""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# What moves the cursor, ends a line or turns the direction of writing, and halves of a pair that no encoding has.
_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_unsafe_in_field = re.compile(f"[\t\n{_UNSAFE}]")
_unsafe_in_text = re.compile(f"[{_UNSAFE}]")

_GAP = 2
# No column is made narrower than this: rather let the terminal break the lines. The last one, which holds sentences,
# keeps that share of the width.
_NARROWEST = 8
_LAST_SHARE = 0.25


class Cell(NamedTuple):
    """One field of a row, and the style to show it in."""

    text: str
    style: str = ""


def cell(field: Cell | str) -> Cell:
    """A field that is fit to be printed."""
    words, style = field if isinstance(field, Cell) else (field, "")
    return Cell(printable(words), style)


def printable(words: str) -> str:
    """Words of a file, a server or an argument as one field of one line; what could do harm there is escaped."""
    return _unsafe_in_field.sub(lambda found: found[0].encode("unicode_escape").decode(), words)


def shown(words: str) -> str:
    """Text of several lines without what could take hold of a terminal."""
    return _unsafe_in_text.sub("", words)


def unpainted(words: str, style: str) -> str:
    """The words, whatever the style."""
    del style
    return words


def table(rows: Sequence[Sequence[Cell]], width: int, paint: Callable[[str, str], str]) -> Iterator[str]:
    """Yield the lines of a table that is `width` columns wide: what is too long for its column is wrapped."""
    if not rows:
        return
    widths = _fitting([max(columns(cell.text) for cell in column) for column in zip(*rows, strict=True)], width)
    for row in rows:
        wrapped = [_wrapped(cell.text, wide) for cell, wide in zip(row, widths, strict=True)]
        for line in zip_longest(*wrapped, fillvalue=""):
            parts = zip(line, row, widths, strict=True)
            yield (" " * _GAP).join(paint(_padded(part, wide), cell.style) for part, cell, wide in parts).rstrip()


def _fitting(widths: list[int], room: int) -> list[int]:
    """Column widths that fit into `room`: the last column gives way first, then the widest of the others."""
    *fronts, last = widths
    least = max(_NARROWEST, int(room * _LAST_SHARE))
    room -= _GAP * len(fronts)
    while sum(fronts) + min(last, least) > room and max(fronts, default=0) > _NARROWEST:
        fronts[fronts.index(max(fronts))] -= 1
    return [*fronts, min(last, max(room - sum(fronts), least))]


def homely(place: str, home: str | None) -> str:
    """A place in somebody's home folder as that somebody writes it."""
    return f"~{place[len(home) :]}" if home and home != "/" and place.startswith(f"{home}/") else place


def columns(words: str) -> int:
    """How many columns of a terminal the words take."""
    if words.isascii():
        return len(words)
    return sum(_columns_of(letter) for letter in words)


def folded(words: str, width: int) -> list[str]:
    """A sentence in lines of at the most so many columns, broken at blanks alone.

    What is longer, such as an address or a path, stays whole, so that it can be copied.
    """
    first, *more = words.split(" ")
    lines = [first]
    for word in more:
        longer = f"{lines[-1]} {word}"
        if columns(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _columns_of(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _padded(words: str, width: int) -> str:
    return words + " " * (width - columns(words))


def _head(words: str, width: int) -> str:
    """As much of the beginning as fits into `width` columns; one letter at least."""
    end, taken = 0, 0
    for end, letter in enumerate(words):
        taken += _columns_of(letter)
        if taken > width:
            return words[: max(end, 1)]
    return words


def _wrapped(words: str, width: int) -> list[str]:
    """The words in lines, broken at blanks where there are any."""
    lines = []
    while columns(words) > width:
        head = _head(words, width)
        fits = words[len(head) : len(head) + 1] == " "
        end = len(head) if fits or " " not in head.strip() else head.rindex(" ")
        lines.append(words[:end].rstrip())
        words = words[end:].lstrip()
    return [*lines, words]
