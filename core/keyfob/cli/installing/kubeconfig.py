"""A kubeconfig, edited as text; what it says is read by PyYAML, on which keyfob itself does not depend."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from keyfob.cli.installing.changes import is_done, same
from keyfob.cli.installing.edits import fault, lines_of, newline
from keyfob.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.cli.installing.changes import Change

# Of every kubeconfig: a new one is given them, and whoever takes a user out of it leaves them.
_EVERYWHERE = {"apiVersion": "v1", "kind": "Config"}


class Kubeconfig:
    """One kubeconfig under edit. PyYAML says where what stands; a user is put in as text, and all else stays as it is.

    It is parsed once more when that is done, and has to say what it said before, with the user.
    """

    def __init__(self, path: str, text: str | None) -> None:
        self.path = path
        self.text = text or ""
        self._root = self._composed()
        self.data = self._loaded(self.text) or {}
        if not isinstance(self.data, dict):
            raise self._fault("not a mapping", 1)

    def add_user(self, name: str, entry: Mapping[str, Any]) -> bool:
        """Add a user with that `exec`; whether they were not there. Raises ConfigError where another has that name."""
        users = self.data.get("users") or []
        if not isinstance(users, list):
            raise self._fault("`users` is no list", self._line("users"))
        for each in users:
            if isinstance(each, dict) and each.get("name") == name:
                if each.get("user") == {"exec": dict(entry)}:
                    return False
                self.check_lacks(name)
        new = {"name": name, "user": {"exec": dict(entry)}}
        expected = copy.deepcopy(self.data) if self.data else dict(_EVERYWHERE)
        expected["users"] = [new, *users]
        text = self._with(new)
        if not self._is(text, expected):
            raise self._fault(
                "cannot be edited as text here", self._line("users"), "see kubectl config set-credentials"
            )
        self.text, self.data = text, expected
        return True

    def check_lacks(self, name: str) -> None:
        """Raise ConfigError where there is a user of that name: their clusters would be sent another one's token."""
        if name in self.says["users"]:
            raise self._fault(f"there is a user {name!r} already", self._line("users"), "give --user another name")

    @property
    def says(self) -> dict[str, Any]:
        """What the file says, by its keys; its users by their names. What every kubeconfig says is left out."""
        listed = self.data.get("users")
        users = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        rest = {key: value for key, value in self.data.items() if key not in _EVERYWHERE}
        return {**rest, "users": {str(each.get("name")): each for each in users}}

    def revert(self, done: Sequence[Change]) -> bool:
        """Take the user out of text that kubectl wrote anew; whether that could be done.

        kubectl does so whenever it changes anything, and adds keys that say what is the default.
        """
        names = {each.path[1] for each in done if each.path[0] == "users"}
        if len(names) != 1 or not is_done(self.says, done):
            return False
        (name,) = names
        users = self.data["users"]
        place = [each.get("name") for each in users].index(name)
        expected = {**self.data, "users": [each for each in users if each["name"] != name]}
        text = self._without(place)
        if not self._is(text, expected):
            return False
        self.text, self.data = text, expected
        return True

    def _without(self, place: int) -> str:
        """The text without the user at that place of the list."""
        key, value = self._node("users")
        lines = lines_of(self.text)
        starts = [each.start_mark.line for each in value.value] + [value.end_mark.line]
        start, end = starts[place], starts[place + 1]
        while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        if len(value.value) > 1:
            return "".join(lines[:start] + lines[end:])
        return f"{self.text[: key.end_mark.index]}: []{newline(self.text)}{''.join(lines[end:])}"

    def _with(self, new: Mapping[str, Any]) -> str:
        """The text with a user more, the first of all."""
        end, node = newline(self.text), self._node("users")
        if node is None:
            gap = "" if not self.text or self.text.endswith("\n") else end
            head = [] if self.data else [f"{key}: {value}" for key, value in _EVERYWHERE.items()]
            return self.text + gap + end.join([*head, "users:", *_item(new, ""), ""])
        start, stop = node[1].start_mark.index, node[1].end_mark.index
        if self._root.flow_style and not self.data.get("users"):
            return f"{self.text[:start]}[{json.dumps(new)}]{self.text[stop:]}"
        if not self.data.get("users"):
            return self.text[: node[0].end_mark.index] + end.join([":", *_item(new, "")]) + self.text[stop:]
        if node[1].flow_style:
            return f"{self.text[: start + 1]}{json.dumps(new)}, {self.text[start + 1 :]}"
        at = self.text.find("\n", node[0].end_mark.index) + 1  # above what is said of the next user
        lines = _item(new, " " * node[1].start_mark.column)
        return self.text[:at] + end.join([*lines, ""]) + self.text[at:]

    def _node(self, key: str) -> Any:
        pairs = self._root.value if self._root is not None and isinstance(self._root.value, list) else []
        return next((pair for pair in pairs if isinstance(pair, tuple) and pair[0].value == key), None)

    def _line(self, key: str) -> int | None:
        found = self._node(key)
        return found[0].start_mark.line + 1 if found else None

    def _composed(self) -> Any:
        return self._read(lambda yaml: yaml.compose(self.text, Loader=yaml.SafeLoader))

    def _is(self, text: str, expected: object) -> bool:
        """Whether the text says that, and can be read at all."""
        try:
            return same(self._loaded(text), expected)
        except ConfigError:
            return False

    def _loaded(self, text: str) -> Any:
        return self._read(lambda yaml: yaml.safe_load(text))

    def _read(self, reading: Any) -> Any:
        yaml = _yaml()
        try:
            return reading(yaml)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            raise self._fault(f"not valid YAML: {error.problem}", mark.line + 1 if mark else None) from None
        except (yaml.YAMLError, ValueError, RecursionError):
            raise self._fault("not valid YAML", None) from None

    def _fault(self, message: str, line: int | None, instead: str | None = None) -> ConfigError:
        return fault(self.path, message, instead, line)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("a kubeconfig is YAML, and PyYAML is not installed", hint="pip install PyYAML") from None
    return yaml


def _item(new: Mapping[str, Any], indent: str) -> Sequence[str]:
    """The lines of one user, as kubectl writes them; JSON's strings and lists are YAML's too."""
    entry = new["user"]["exec"]
    return [
        f"{indent}- name: {_word(new['name'])}",
        f"{indent}  user:",
        f"{indent}    exec:",
        *(f"{indent}      {key}: {_word(value)}" for key, value in entry.items()),
    ]


def _word(value: Any) -> str:
    """A value as YAML: bare where that is read as the same."""
    bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w./-]*", value, re.ASCII)
    return str(value) if bare and _yaml().safe_load(value) == value else json.dumps(value, ensure_ascii=False)
