"""The recorded runs of the real Codex client: what each was given, and what it did.

`data/` holds runs of Codex CLI 0.169.0 against a recording server on loopback, unchanged; all keys in them are made up.
`{base}`, `{hostport}`, `{home}` and `{state}` stand for the run's own values; `{state}` is its CODEX_HOME.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DATA = Path(__file__).parent / "data"
STATE = ".codex"
"""CODEX_HOME, below the run's home."""

CLIENT_HEADERS = frozenset({
    # How a client presents itself; keyfob's user may send whatever it likes.
    "originator", "user-agent", "version",
    # How Codex tells its conversations apart.
    "session-id",
    # The body, which is the client's: Codex sends zstd where the login is ChatGPT's.
    "content-type", "content-length", "content-encoding",
    # What httpx itself says of every connection; the recorder left these out.
    "accept", "accept-encoding", "connection", "host",
})  # fmt: skip
"""Headers that are the client's own business, not part of authentication."""

CLIENT_POSTS = "/backend-api/ps/"
"""Codex posts to its plugin catalogue there. All its other errands are GETs: models, WebSocket attempts, whoami."""

_ENDINGS = {
    "Error loading config": "config",
    "Model provider": "config",
    "Missing environment variable": "missing-credential",
    "provider auth command": "command",
    "waiting for network": "unreachable",
    "workspace routing discovery": "workspace-routing",
}
"""What a failed run says on stderr, and which of keyfob's errors, by its code, that would be."""


@dataclass(frozen=True)
class Request:
    """One POST to the model, as the server saw it. `url` has neither scheme nor query."""

    url: str
    query: str
    authorization: str | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, url: str, query: str, headers: Mapping[str, str]) -> Request:
        """A request without the headers that are the client's own; names of `headers` are in lower case."""
        relevant = {name: value for name, value in headers.items() if name not in CLIENT_HEADERS}
        return cls(url, query, relevant.pop("authorization", None), relevant)


@dataclass(frozen=True)
class Outcome:
    """What a run did: the requests it made, and how it ended: the last status, or the code of the error."""

    requests: Sequence[Request]
    ending: str
    command_ran: bool | None = None
    """Whether the token command was run; None where the recording does not tell."""


def differences(codex: Outcome, keyfob: Outcome) -> dict[str, object]:
    """What keyfob did, by field, where Codex did something else; requests are compared as far as both made them."""
    found: dict[str, object] = {}
    if [ours.url for ours in keyfob.requests] != [theirs.url for theirs in codex.requests]:
        found["requests"] = [ours.url for ours in keyfob.requests]
    pairs = list(zip(keyfob.requests, codex.requests, strict=False))
    for field in ("query", "authorization", "headers"):
        if any(getattr(ours, field) != getattr(theirs, field) for ours, theirs in pairs):
            found[field] = [getattr(ours, field) for ours, _ in pairs]
    if keyfob.ending != codex.ending:
        found["ending"] = keyfob.ending
    if codex.command_ran not in (None, keyfob.command_ran):
        found["command_ran"] = keyfob.command_ran
    return found


class Vector:
    """One recorded run."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._text = path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return self.name

    def given(self, values: Mapping[str, str]) -> Given:
        """What the run was given, with `values` for its placeholders."""
        text = self._text
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        return Given(json.loads(text))

    @property
    def answers(self) -> Mapping[str, Sequence[Any]]:
        """The server's script; what it holds for other endpoints answers Codex's own errands."""
        scripted = json.loads(self._text)["given"].get("answers", {})
        return {key: script for key, script in scripted.items() if key == "responses"}

    @property
    def codex(self) -> Outcome:
        """What Codex did, in placeholders."""
        run = json.loads(self._text)
        posts = _posts(run)
        requests = [Request.of(sent["host"] + sent["path"], sent["query"], sent["headers"]) for sent in posts]
        runs = run.get("extra", {}).get("command_runs")
        return Outcome(requests, _ending(run["steps"][0], posts), None if runs is None else int(runs) > 0)


class Given:
    """What a run was given, its placeholders filled in; times are in seconds since the epoch."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.environ: Mapping[str, str] = run["env"]
        self.overrides = [value for flag, value in pairwise(run["steps"][0]["argv"]) if flag == "-c"]
        self.now: float = run["given"]["now"]
        self.models_asked_at = [self.now + sent["at_s"] for sent in run["requests"] if sent["key"] == "models"]
        self.posted_at = next((self.now + sent["at_s"] for sent in _posts(run)), self.now)
        self._texts = {f"{STATE}/config.toml": run["config"], f"{STATE}/auth.json": run["auth_before"]}
        self._files = run["given"].get("files", {})

    def write(self, home: Path) -> None:
        """Write configuration, login and further files."""
        plain = {name: {"text": text, "mode": "0600"} for name, text in self._texts.items() if text is not None}
        (home / STATE).mkdir(parents=True)
        for name, file in (plain | self._files).items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(file["text"], encoding="utf-8")
            (home / name).chmod(int(file["mode"], 8))


def _posts(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The requests to the model."""
    return [sent for sent in run["requests"] if sent["method"] == "POST" and not sent["path"].startswith(CLIENT_POSTS)]


def _ending(step: Mapping[str, Any], posts: Sequence[Mapping[str, Any]]) -> str:
    """How the run ended. A successful one may have logged errors that it went past."""
    said = [ending for text, ending in _ENDINGS.items() if text in step["stderr"]]
    return said[0] if said and step["exit"] != 0 else str(posts[-1]["answered"])


VECTORS = [Vector(path) for path in sorted(DATA.glob("*/*.json"))]
