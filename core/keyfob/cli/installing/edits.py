"""Edits of files that belong to others: read whole, shown, written whole, and taken back to the byte."""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.cli.text import Cell
from keyfob.config.layers import LARGEST
from keyfob.errors import ConfigError, Fault
from keyfob.stores import private

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What an edit did in one place: the text before, and the text after it, which stands in the file once.
Hunk = tuple[str, str]

# Lines around a change that are shown.
_AROUND = 2
_STYLES = {"+": "green", "-": "red", " ": ""}
# The keys whose values are shown: none of them holds a secret. Any other value could be one.
_OPEN = frozenset({
    "name", "base_url", "wire_api", "env_key", "env_key_instructions", "model_provider", "requires_openai_auth",
    "ANTHROPIC_BASE_URL", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "apiVersion", "kind", "current-context",
    "timeout_ms", "refresh_interval_ms", "request_max_retries", "stream_max_retries", "stream_idle_timeout_ms",
})  # fmt: skip
# Those that are shown where keyfob writes them: elsewhere a command may hold a secret.
_OURS = _OPEN | {"command", "args", "apiKeyHelper", "interactiveMode", "users"}
_setting = re.compile(r"""(?P<start>\s*(?:- )?(["']?)(?P<key>[\w.-]+)\2\s*[:=]\s*)(?P<value>.*)""", re.DOTALL)
_value = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[\w./:-]+),?""")
_harmless = re.compile(r"(?:true|false|null|[\[{}\]])?,?\s*")
_header = re.compile(r'\s*\[\[?[\w-]+(?:\.(?:[\w-]+|"[^"]*"))*\]\]?\s*')


@dataclass(frozen=True, slots=True)
class Edit:
    """One file as it is, and as it is to be. None: there is none. Line ends are part of the text."""

    path: str
    before: str | None
    after: str | None

    def __repr__(self) -> str:
        return f"<Edit of {self.path}>"  # the texts may hold secrets

    def write(self) -> None:
        """Replace the file, at once and durably; its mode stays, and a link stays a link. Raises ConfigError."""
        path = os.path.realpath(self.path)
        try:
            if self.after is None:
                private.remove(path)
                return
            private.make_folder(os.path.dirname(path))
            data = self.after.encode("utf-8")
            private.write(path, data, temporary=f"{path}.keyfob.new", like=path, mode=_mode(path))
        except OSError as error:
            raise fault(self.path, f"cannot be written: {error.strerror}") from error

    @property
    def hunks(self) -> list[Hunk]:
        """The exact places that it changes, with as much around each as makes it the only one of its kind."""
        before, after = self.before or "", self.after or ""
        ours, theirs = lines_of(before), lines_of(after)
        matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
        for around in range(max(len(ours), len(theirs)) + 1):
            groups = [(each[0], each[-1]) for each in matcher.get_grouped_opcodes(around)]
            found = [("".join(ours[first[1] : last[2]]), "".join(theirs[first[3] : last[4]])) for first, last in groups]
            if taken_back(after, found) == before:
                return found
        return [(before, after)]


def check_unchanged(edits: Sequence[Edit]) -> None:
    """Raise ConfigError if somebody has changed one of the files since it was read."""
    for edit in edits:
        if read(edit.path) != edit.before:
            raise fault(edit.path, "has changed meanwhile; nothing was written", "do it again")


def taken_back(text: str, hunks: Sequence[Hunk]) -> str | None:
    """The text without what the hunks did to it; None where that cannot be told exactly."""
    for old, new in hunks:
        if not new or text.count(new) != 1:
            return None
        text = text.replace(new, old)
    return text


def read(path: str) -> str | None:
    """The text of a file, with its line ends; None where there is none. Raises ConfigError."""
    try:
        data = private.read(path, LARGEST)
    except private.NotAFileError as error:
        raise fault(path, error.what) from None
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror}") from error
    if data is None:
        return None
    if len(data) > LARGEST:
        raise fault(path, f"larger than {LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fault(path, "not UTF-8 text", "save the file as UTF-8", line) from None


def newline(text: str) -> str:
    """How the lines of this text end."""
    return "\r\n" if "\r\n" in text else "\n"


def difference(before: str | None, after: str | None, name: str, ours: str = "+") -> Iterator[Cell]:
    """The lines of a unified diff, each in its colour; of values that may be secrets, that they are there.

    ours: the mark of the lines that keyfob writes, or has written. A line that only gets another end, or a comma, has
    that mark too, and is still somebody else's.
    """
    texts = (lines_of(before or ""), lines_of(after or ""))
    names = (name if before is not None else os.devnull, name if after is not None else os.devnull)
    lines = list(difflib.unified_diff(*texts, *names, n=_AROUND))
    theirs = {_bare(line[1:]) for line in lines[2:] if line[0] not in (ours, "@", " ")}
    for number, line in enumerate(lines):
        mark, words = line[:1], line[1:].rstrip("\r\n")
        if number < 2 or mark == "@":
            yield Cell(line.rstrip(), "dim" if mark == "@" else "bold")
        else:
            own = mark == ours and _bare(words) not in theirs
            yield Cell(mark + _masked(words, _OURS if own else _OPEN), _STYLES[mark])


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _masked(line: str, known: frozenset[str]) -> str:
    """The line, with `…` for whatever could be a secret: any value but those of known keys, and what follows those."""
    if _harmless.fullmatch(line.strip()) or _header.fullmatch(line):
        return line
    found = _setting.fullmatch(line)
    if found is None:
        indent = line[: len(line) - len(line.lstrip())]
        return f"{indent}# …" if line.lstrip().startswith("#") else f"{indent}…"
    value = _harmless.fullmatch(found["value"]) or (_value.match(found["value"]) if found["key"] in known else None)
    if value is None:
        return f"{found['start']}…"
    rest = found["value"][value.end() :]
    return f"{found['start']}{value[0]} …" if rest.strip() else line


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends, as editors and TOML count them."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _mode(path: str) -> int:
    """The mode of the file that is there; a new one is for nobody else."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode) if sys.platform != "win32" else 0o600
    except FileNotFoundError:
        return 0o600


def fault(
    path: str, message: str, instead: str | None = None, line: int | None = None, column: int | None = None
) -> ConfigError:
    """An error in a file. instead: what to do about it. line, column: where."""
    return ConfigError.of([Fault(message, instead, path=path, line=line, column=column)])
