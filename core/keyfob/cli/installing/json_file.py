"""Claude Code's settings: one JSON object, edited as text."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from keyfob.cli.installing.changes import is_done
from keyfob.cli.installing.edits import fault, newline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.cli.installing.changes import Change
    from keyfob.errors import ConfigError

# Whatever it is, each token goes where it did: whoever has changed that keeps it.
_FREE = ("env", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS")
_BLANK = " \t\r\n"


class Json:
    """One JSON object under edit: keys are put in as text, and all else stays as it is, to the byte. `text`: so far."""

    def __init__(self, path: str, text: str | None) -> None:
        self.path = path
        self.text = text or ""
        if not self.text.strip(_BLANK):
            self.text = "{}\n"
        try:
            data = json.loads(self.text)
        except json.JSONDecodeError as error:
            raise fault(path, f"not valid JSON: {error.msg}", line=error.lineno, column=error.colno) from None
        except (ValueError, RecursionError):
            raise self.fault("cannot be read", None) from None
        if not isinstance(data, dict):
            raise self.fault("not a JSON object", 1)
        self.data = data

    def fault(self, message: str, line: int | None, instead: str | None = None) -> ConfigError:
        """An error at a place of this file."""
        return fault(self.path, message, instead, line)

    def place(self, *keys: str) -> int | None:
        """The line of a key."""
        at = self._start()
        for number, key in enumerate(keys, 1):
            found = self._members(at).get(key)
            if found is None:
                return None
            if number == len(keys):
                return self.text.count("\n", 0, found[0]) + 1
            at = found[1]
        return None

    def put(self, keys: tuple[str, ...], values: Mapping[str, Any]) -> None:
        """Set keys of the object at that path, at most one deep; a new one comes first. Raises ConfigError."""
        expected = copy.deepcopy(self.data)
        inner = expected
        for key in keys:
            inner = inner.setdefault(key, {})
        lacking = {key: value for key, value in values.items() if inner.get(key) != value}
        inner.update(values)
        text = self.text
        if keys and keys[0] not in self.data:
            text = self._added(self._start(), {keys[0]: values}, depth=1)
        elif lacking:
            at = self._members(self._start())[keys[0]][1] if keys else self._start()
            text = self._changed(at, lacking, depth=len(keys) + 1)
        if json.loads(text) != expected:
            raise self.fault("cannot be edited: a key is there twice, perhaps", None)
        self.text, self.data = text, expected

    @property
    def says(self) -> dict[str, Any]:
        """What the file says, by its keys."""
        return self.data

    def revert(self, done: Sequence[Change]) -> bool:
        """Take these changes back in text that Claude Code wrote anew; whether all of them were there.

        All or none: the user's own helper must not be sent to another server, nor another one's to Anthropic.
        """
        there = [each for each in done if each.path != _FREE or is_done(self.data, [each])]
        if not is_done(self.data, there):
            return False
        for each in there:
            self._set(each.path, each.old)
        return True

    def _set(self, path: tuple[str, ...], value: list[Any]) -> None:
        """Give a key that is there another value, or none; an object that is left empty goes too."""
        at = self._start()
        for key in path[:-1]:
            at = self._members(at)[key][1]
        members = self._members(at)
        _, start, end = members[path[-1]]
        if value:
            self.text = self.text[:start] + json.dumps(value[0], ensure_ascii=False) + self.text[end:]
        elif len(members) == 1 and len(path) > 1:
            self._set(path[:-1], [])
        else:
            self.text = self._without(at, path[-1])
        self.data = json.loads(self.text)

    def _without(self, at: int, key: str) -> str:
        """The text without one key of the object at `at`."""
        members = self._members(at)
        names = list(members)
        place = names.index(key)
        start, _, end = members[key]
        if place + 1 < len(names):
            return self.text[:start] + self.text[members[names[place + 1]][0] :]
        if place:
            return self.text[: members[names[place - 1]][2]] + self.text[end:]
        return self.text[: at + 1] + self.text[self._past(end) :]

    def _start(self) -> int:
        return self.text.index("{")

    def _members(self, at: int) -> dict[str, tuple[int, int, int]]:
        """Of the object at `at`, each key: where it starts, where its value does, and where that ends."""
        found, decoder, at = {}, json.JSONDecoder(), self._past(at + 1)
        while self.text[at] != "}":
            key, end = decoder.raw_decode(self.text, at)
            value = self._past(self._past(end) + 1)
            _, end = decoder.raw_decode(self.text, value)
            found[key] = (at, value, end)
            at = self._past(end)
            at = self._past(at + 1) if self.text[at] == "," else at
        return found

    def _past(self, at: int) -> int:
        """Past the blanks at `at`."""
        while self.text[at] in _BLANK:
            at += 1
        return at

    def _changed(self, at: int, values: Mapping[str, Any], depth: int) -> str:
        """The text with these values in the object at `at`."""
        members = self._members(at)
        text = self._added(at, {key: value for key, value in values.items() if key not in members}, depth)
        moved = len(text) - len(self.text)
        for key, value in values.items():
            if key in members:
                _, start, end = (each + moved for each in members[key])
                new = json.dumps(value, ensure_ascii=False)
                text = text[:start] + new + text[end:]
                moved += len(new) - (end - start)
        return text

    def _added(self, at: int, values: Mapping[str, Any], depth: int) -> str:
        """The text with new keys at the beginning of the object at `at`."""
        if not values:
            return self.text
        end, unit = newline(self.text), self._unit()
        first = self._past(at + 1)
        lines = json.dumps(values, ensure_ascii=False, indent=unit).split("\n")[1:-1]
        new = "".join(f"{end}{unit * (depth - 1)}{line}" for line in lines)
        if self.text[first] == "}":
            return f"{self.text[: at + 1]}{new}{end}{unit * (depth - 1)}{self.text[first:]}"
        gap = "" if "\n" in self.text[at + 1 : first] else " "
        return f"{self.text[: at + 1]}{new},{gap}{self.text[at + 1 :]}"

    def _unit(self) -> str:
        """What one level is indented by: as much as the first line that is."""
        lines = (line for line in self.text.split("\n") if line[:1] in (" ", "\t") and line.strip())
        first = next(lines, "  ")
        return first[: len(first) - len(first.lstrip())]
