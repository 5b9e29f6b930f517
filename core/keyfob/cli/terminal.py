"""Where things are printed: data on stdout, everything else on stderr; colour and tables only on a terminal."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from keyfob.cli import text
from keyfob.errors import KeyfobError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_USUAL_WIDTH = 80
# What stands before the second line of a message and those after it: as much as the name before the first.
_INDENT = " " * len("keyfob: ")
_ERASE = "\r\x1b[K"


class OutputError(KeyfobError):
    """What was to be printed cannot be written: a full disk, a closed stream."""

    code = "output"


class Terminal:
    """The two streams of a command, and what may be done on them.

    out, err: None where the caller closed that stream. json: say errors and notes as JSON too, a line each.
    """

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self.json = False
        self._environ = environ
        self._passing = ""
        for stream in (self.out, self.err):
            if isinstance(stream, io.TextIOWrapper):  # a letter that the locale lacks is no reason to fail
                stream.reconfigure(errors="backslashreplace")

    @property
    def interactive(self) -> bool:
        """Whether a person reads stdout."""
        return _is_terminal(self.out)

    @property
    def attended(self) -> bool:
        """Whether a person is there who can be asked for something, such as to unlock the keyring."""
        return _is_terminal(self.err)

    @property
    def width(self) -> int:
        """Columns of stdout."""
        return self._width(self.out)

    def _width(self, stream: TextIO) -> int:
        """Columns of a terminal: COLUMNS, else what it says itself."""
        given = self._environ.get("COLUMNS", "")
        if given.isascii() and given.isdecimal() and int(given) > 0:
            return int(given)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
        return _USUAL_WIDTH

    def data(self, line: str) -> None:
        """Print a line of data."""
        with self._writing():
            print(line, file=self._open_out())

    def document(self, document: object) -> None:
        """Print data as JSON."""
        self.data(json.dumps(document, indent=2))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[text.Cell | str]]) -> None:
        """Print rows: as a table that fits the terminal, else as lines with a tab between two fields.

        head: the columns' names, for a terminal; empty for a table without.
        """
        cells = [[text.cell(field) for field in row] for row in rows]
        if self.interactive:
            heads = [[text.Cell(name, "bold") for name in head]] if head else []
            paint = self._painted if self._colour(self.out) else text.unpainted
            lines = text.table(heads + cells, self.width, paint)
        else:
            lines = ("\t".join(field.text for field in row) for row in cells)
        for line in lines:
            self.data(line)

    def lines(self, lines: Iterable[text.Cell]) -> None:
        """Print lines as they are, each in its style."""
        paint = self._painted if self._colour(self.out) else text.unpainted
        for words, style in map(text.cell, lines):
            self.data(paint(words, style))

    @contextlib.contextmanager
    def stream(self) -> Iterator[Any]:
        """A function that prints bytes at once: as they are, or on a terminal without what could take hold of it."""
        out = self._open_out()
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode

        def write(data: bytes) -> None:
            with self._writing():
                if self.interactive:
                    out.write(text.shown(decode(data)))
                else:
                    out.buffer.write(data)
                out.flush()

        self.flush()
        yield write

    def note(self, message: str, *, hint: str | None = None) -> None:
        """Say something to a person, and what to do, if there is something."""
        self._say("note", message, hint=hint)

    def warn(self, message: str, *, hint: str | None = None) -> None:
        """Say that something has no effect, or not the one it seems to have, and what to do, if there is something."""
        self._say("warning", message, hint=hint)

    def error(self, error: KeyfobError) -> None:
        """Say what is wrong, and what to do about it."""
        self._say("error", str(error), hint=error.hint, code=error.code)

    def show(self, *lines: str) -> None:
        """Show a person an address, a code or what else is to be copied, alone on its lines."""
        if self.json:
            for line in lines:
                self._say("note", line)
        else:
            self._print(["", *(f"  {text.printable(line)}".rstrip() for line in lines), ""])

    def show_choices(self, choices: Sequence[str]) -> None:
        """Show several things to choose from, by their numbers."""
        for number, words in enumerate(choices, 1):
            beside = f"  {number}) "
            below = "\n" + " " * len(beside)
            self._print([beside + below.join(self._folded(words, len(beside)))])

    def ask(self, prompt: str) -> str:
        """What somebody at the terminal answers to it, in one line. Raises KeyboardInterrupt where they go away."""
        self._put(prompt)
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:
            return "?"
        except KeyboardInterrupt:
            line = ""
        if not line.endswith("\n"):
            self._put("\n")  # what the shell says next is no part of the prompt
            raise KeyboardInterrupt
        return line.strip()

    def passing(self, line: str) -> None:
        """Show a line until something else is said, or another, or an empty one; only where that can be done."""
        if line != self._passing and not self.json and self._moves(self.err):
            self._put(f"{_ERASE}{line[: self._width(self.err) - 1]}")  # one that is wrapped could not be erased
            self._passing = line

    def _say(self, kind: str, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        if self.json:
            said = {"message": message, "hint": hint} if hint or code else {"message": message}
            self._print([json.dumps({kind: {"code": code, **said} if code else said})])
            return
        name = self._painted("keyfob:", "red" if kind == "error" else "yellow") if self._colour(self.err) else "keyfob:"
        told = f"warning: {message}" if kind == "warning" else message
        first, *more = [line for each in told.split("\n") for line in self._folded(each, len(_INDENT))]
        lines = [f"{name} {first}", *(f"{_INDENT}{line}" for line in more)]
        self._print([*lines, f"  → {text.printable(hint)}"] if hint else lines)

    def _folded(self, words: str, beside: int) -> list[str]:
        """In lines that fit beside what takes so many columns, where somebody reads it at a terminal."""
        whole = text.printable(words)
        return text.folded(whole, self._width(self.err) - beside) if _is_terminal(self.err) else [whole]

    def _print(self, lines: Sequence[str]) -> None:
        self.passing("")
        self._put("\n".join([*lines, ""]))

    def _put(self, words: str) -> None:
        if self.err is not None:
            with contextlib.suppress(OSError):  # there is no place left to complain in
                self.err.write(words)
                self.err.flush()

    def flush(self) -> None:
        """Hand everything on: what cannot be written is said now, not when the interpreter ends."""
        with self._writing():
            if self.out is not None:
                self.out.flush()

    def abandon(self) -> None:
        """Give stdout up: what is still buffered would fail once more when the interpreter ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.out.fileno())
            os.close(nowhere)

    def _open_out(self) -> TextIO:
        if self.out is None:
            raise OutputError("stdout is closed")
        return self.out

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self.abandon()
            raise OutputError(f"cannot write to stdout: {error.strerror}") from error

    def _colour(self, stream: TextIO | None) -> bool:
        """Whether to use colour there: https://no-color.org, and not on a terminal that has none."""
        return self._moves(stream) and not self._environ.get("NO_COLOR")

    def _moves(self, stream: TextIO | None) -> bool:
        """Whether what was written there can be written over."""
        return _is_terminal(stream) and self._environ.get("TERM") != "dumb"

    @staticmethod
    def _painted(words: str, style: str) -> str:
        """The words in colour, the blanks behind them not."""
        bare = words.rstrip()
        return f"\x1b[{_STYLES[style]}m{bare}\x1b[0m{words[len(bare) :]}" if style and bare else words


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()
