"""Lines: where in a TOML document each key stands, for messages that point at it.

tomli gives no positions, so this scans the text once more, after tomli has accepted it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, count

import tomli

Path = tuple[str, ...]

# No configuration nests deeper. Without a limit, ten kilobytes of `a.a.a.a…` would cost a hundred megabytes of paths.
_DEEPEST = 64

_PART = r"""(?:[^\s"'.=,\[\]{}#]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*+"
_FILLER = r"(?:[\s,]++|\#[^\n]*+)*+"
_STRING = r"""(?:"(?!"")(?:[^"\\\n]|\\.)*+"|'(?!'')[^'\n]*+')"""
_LONG_STRING = r"""(?:"{3}(?:[^"\\]|\\.|""?(?!"))*+"{3,5}|'{3}(?:[^']|''?(?!'))*+'{3,5})"""

_key_part = re.compile(_PART)
_key_equals = re.compile(rf"(?P<key>{_KEY})[ \t]*=\s*")
_filler = re.compile(_FILLER)
_scalar = re.compile(rf"{_LONG_STRING}|{_STRING}|[^,\]}}#\n]*+", re.DOTALL)
# The first alternative is most of every file, hence taken in one step: a lone bare key whose value holds no keys.
_statement = re.compile(
    rf"""{_FILLER}(?:
      (?P<plain>[\w-]++)[ \t]*=[ \t]*(?:{_STRING}|[^\s"'\[{{\#][^\n\#]*+)
    | (?P<header>\[\[?[ \t]*{_KEY}[ \t]*\]\]?)
    | (?P<key>{_KEY})[ \t]*=[ \t]*
    )""",
    re.VERBOSE,
)


class Lines:
    """The line of each key of one document. Holds positions only, nothing of the text.

    A path is the keys that lead to a value; an element of an array counts as the key "0", "1", …
    """

    __slots__ = ("_ends", "_offsets", "_starts")

    def __init__(self, offsets: dict[Path, int], ends: dict[Path | None, int], starts: list[int]) -> None:
        self._offsets = offsets
        self._ends = ends
        self._starts = starts

    def line(self, path: Path) -> int | None:
        """Return the 1-based line on which the key or table at `path` stands, or None if that is not known.

        A table stands where its header is; one without, and an array of tables, where it is first mentioned.
        """
        offset = self._offsets.get(path)
        return None if offset is None else bisect_right(self._starts, offset)

    def end(self, path: Path) -> int | None:
        """Return a 1-based line of the table with a header at `path`, or None if there is none.

        None of its own keys stands below that line, and between the last of them and it are comments and blanks alone.
        """
        offset = self._ends.get(path)
        return None if offset is None else bisect_right(self._starts, max(offset - 1, 0))

    def nearest(self, path: Path) -> int | None:
        """Return the line of the longest known prefix of `path`, or None if not even its first key is known."""
        known = (self.line(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in known if line is not None), None)


def locate(text: str) -> Lines:
    """Return where the keys of the TOML document `text` stand.

    It never raises: of what is not TOML, or nested more than 64 deep, it knows less.
    """
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    scan = _Scan(text)
    return Lines(scan.document(), scan.ends, starts)


class _Scan:
    """One pass through a document. A path that is None is one too deep to be kept."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offsets: dict[Path, int] = {}
        self.ends: dict[Path | None, int] = {}
        self._elements: dict[Path, int] = {}  # of each array of tables, how many there are up to here

    def document(self) -> dict[Path, int]:
        table: Path | None = ()
        end = before = 0
        while found := _statement.match(self._text, end):
            end = found.end()
            kind = found.lastgroup or ""
            at = found.start(kind)
            if kind == "plain":
                self._enter(table, found[kind], at)
            elif kind == "header":
                self.ends[table] = before
                table = self._header(found[kind], at)
            else:
                end = self._value(self._enter_all(table, found[kind], at), end)
            before = end
        self.ends[table] = before
        return self._offsets

    def _enter(self, path: Path | None, key: str, at: int) -> Path | None:
        if path is None or len(path) >= _DEEPEST:
            return None
        path = (*path, key)
        self._offsets.setdefault(path, at)
        return path

    def _enter_all(self, path: Path | None, dotted: str, at: int) -> Path | None:
        for key in _keys(dotted):
            path = self._enter(path, key, at)
        return path

    def _header(self, header: str, at: int) -> Path | None:
        """Enter the table that `[a.b]` or `[[a.b]]` opens, and the tables on the way that it implies."""
        *parents, last = _keys(header)
        path: Path | None = ()
        for key in parents:
            path = self._enter(path, key, at)
            if path in self._elements:
                path = self._enter(path, str(self._elements[path] - 1), at)
        path = self._enter(path, last, at)
        if path is not None and header.startswith("[["):
            index = self._elements.get(path, 0)
            self._elements[path] = index + 1
            path = self._enter(path, str(index), at)
        elif path is not None:
            self._offsets[path] = at  # a header further up may have implied it
        return path

    def _value(self, path: Path | None, at: int) -> int:
        """Enter the keys inside the value at `at`, which belongs to `path`; return where the value ends.

        A loop, not a recursion: a document may nest deeper than the stack allows.
        """
        around: list[tuple[Path | None, count[int] | None]] = []  # the open brackets; an array has its next index
        while True:
            if self._text.startswith(("[", "{"), at):
                around.append((path, count() if self._text[at] == "[" else None))
                at += 1
            else:
                at = self._end(_scalar, at)
            at = self._end(_filler, at)
            while around and self._text[at : at + 1] in ("]", "}", ""):
                around.pop()
                at = self._end(_filler, at + 1)
            if not around:
                return at
            path, at = self._inner(*around[-1], at)

    def _inner(self, path: Path | None, indices: count[int] | None, at: int) -> tuple[Path | None, int]:
        """Enter the next element or key inside `path`; return its own path, and where its value starts."""
        if indices is not None:
            return self._enter(path, str(next(indices)), at), at
        found = _key_equals.match(self._text, at)
        if found is None:
            return None, at
        return self._enter_all(path, found["key"], at), found.end()

    def _end(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self._text, at)
        return found.end() if found else at


def _keys(dotted: str) -> list[str]:
    return [_unquoted(part) for part in _key_part.findall(dotted)]


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    if part[0] == "'" or "\\" not in part:
        return part[1:-1]
    try:
        return str(tomli.loads(f"key = {part}")["key"])
    except tomli.TOMLDecodeError:
        return part
