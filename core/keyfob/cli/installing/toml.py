"""A TOML file, edited line by line: whatever is not edited stays as it is, to the byte.

Each step is made on the text, where `config/lines.py` says that the keys stand, and is checked by parsing what came of
it: it has to say what it said before, but for what was to change. So no library is needed that writes TOML, and what
the steps do not see through is refused instead of being damaged.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import tomli

from keyfob.cli.installing.changes import same
from keyfob.cli.installing.edits import fault, lines_of, newline
from keyfob.config.faults import toml, toml_key
from keyfob.config.lines import locate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.cli.installing.changes import Change
    from keyfob.config.layers import KeyPath


class Toml:
    """One file under edit. `text` is what has become of it. path: for messages. text: None where there is no file."""

    def __init__(self, path: str, text: str | None) -> None:
        self.path = path
        self._mark, self._text = _parted(text or "")
        self.data = self._parsed()

    @property
    def text(self) -> str:
        """All of it, with the mark that some editors begin a file with."""
        return self._mark + self._text

    @property
    def says(self) -> dict[str, Any]:
        """What the file says, by its keys."""
        return self.data

    def revert(self, done: Sequence[Change]) -> bool:
        """Whether these changes could be taken back in text that another program wrote anew; here they cannot.

        Codex leaves the lines of its file as they are, so whoever changed these wanted them so.
        """
        return False

    def take(self, table: KeyPath, key: str) -> str:
        """Take the line of a key out; the line, to be written elsewhere. Raises ConfigError."""
        number = locate(self._text).line((*table, key))
        lines = lines_of(self._text) if number else []
        expected = copy.deepcopy(self.data)
        value = _table(expected, table).pop(key)
        line = lines.pop(number - 1).strip() if number else ""
        self._become("".join(lines), expected, (*table, key))
        return line if _says(line, key, value) else f"{toml_key(key)} = {toml(value)}"

    def put(self, table: KeyPath, lines: Sequence[str]) -> None:
        """Put keys into a table, below its header; into a new one at the end, where it has none. Raises ConfigError."""
        if not lines:
            return
        expected = copy.deepcopy(self.data)
        _table(expected, table).update(tomli.loads("\n".join(lines)))
        at = self._header(table)
        if at is None:
            self._become(self._ended(["", _named(table), *lines]), expected, table)
        else:
            self._become(self._inserted(at, lines), expected, table)

    def put_table(self, table: KeyPath, values: Mapping[str, Any]) -> None:
        """Put a new table below the one that it is in; at the end, where that has no header. Raises ConfigError."""
        expected = copy.deepcopy(self.data)
        _table(expected, table[:-1])[table[-1]] = dict(values)
        lines = [_named(table), *(f"{toml_key(key)} = {toml(value)}" for key, value in values.items())]
        at = self._end(table[:-1])
        if at is None:
            self._become(self._ended(["", *lines]), expected, table)
        else:
            self._become(self._inserted(at, ["", *lines]), expected, table)

    def _header(self, table: KeyPath) -> int | None:
        """The line of the header of a table; None where it has none."""
        number = locate(self._text).line(table)
        if number is None:
            return None
        line = lines_of(self._text)[number - 1].lstrip()
        own = line.startswith("[") and not line.startswith("[[")
        return number if own and _heads(line, table) else None

    def _end(self, table: KeyPath) -> int | None:
        """The last line of a table's own keys; None where it has no header."""
        start = self._header(table)
        if start is None:
            return None
        lines = lines_of(self._text)
        end = locate(self._text).end(table) or start
        while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        return end

    def _inserted(self, at: int, new: Sequence[str]) -> str:
        """The text with lines below that line."""
        lines, end = lines_of(self._text), newline(self._text)
        if not lines[at - 1].endswith("\n"):
            lines[at - 1] += end
        return "".join([*lines[:at], *(line + end for line in new), *lines[at:]])

    def _ended(self, new: Sequence[str]) -> str:
        """The text with lines at its end; a blank one that would be the first is left out."""
        end = newline(self._text)
        if not self._text:
            new = new[1:]
        gap = "" if not self._text or self._text.endswith("\n") else end
        return self._text + gap + "".join(line + end for line in new)

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomli.loads(self._text)
        except tomli.TOMLDecodeError as error:
            raise fault(self.path, f"not valid TOML: {error.msg}", line=error.lineno, column=error.colno) from None
        except (ValueError, RecursionError):
            raise fault(self.path, "cannot be read") from None

    def _become(self, text: str, expected: dict[str, Any], path: KeyPath) -> None:
        """Take that text, if it says just what is expected. path: what was to change."""
        try:
            found = tomli.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not same(found, expected):
            instead = f"write {_named(path[:2])} as a table, with one key on each line"
            line = locate(self._text).nearest(path)
            raise fault(self.path, "cannot be edited as it is written here", instead, line)
        self._text, self.data = text, expected


def _parted(text: str) -> tuple[str, str]:
    """The mark that some editors begin a file with, and the rest."""
    return (text[:1], text[1:]) if text.startswith("\ufeff") else ("", text)


def _named(table: KeyPath) -> str:
    return f"[{'.'.join(map(toml_key, table))}]"


def _heads(line: str, table: KeyPath) -> bool:
    """Whether this line is the header of just that table: further up it may only have been implied."""
    try:
        data = tomli.loads(line)
    except tomli.TOMLDecodeError:
        return False
    for key in table:
        data = data.get(key, {"": None})
    return not data


def _table(data: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    for key in path:
        data = data.setdefault(key, {})
    return data


def _says(line: str, key: str, value: object) -> bool:
    try:
        return same(tomli.loads(line), {key: value})
    except tomli.TOMLDecodeError:
        return False
