"""The recorded runs of the real Codex client: what each was given, and what it did.

`data/` holds runs of Codex CLI 0.169.0 against a recording server on loopback, unchanged; all keys in them are made up.
`{base}`, `{hostport}`, `{home}` and `{state}` stand for the run's own values; `{state}` is its CODEX_HOME. For tokens
see tokens.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .tokens import shifted, tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parent / "data"
STATE = ".codex"
"""CODEX_HOME, below the run's home."""
SYSTEM = "/etc/codex/"
"""The administrator's folder, as files of a run name it."""

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
"""Codex posts to its plugin catalogue there. All its other errands are GETs: models, WebSocket attempts."""
ISSUER = {"/oauth/token": "token.refresh", "/oauth/revoke": "revoke", "/whoami": "whoami"}
"""How a path of the issuer ends, and the recorder's key for it."""
SIGN_IN = frozenset({"authorize", "token.code", "token.exchange", "device.usercode", "device.token"})
"""The recorder's keys for what is asked of the issuer to sign in."""

_TURNS = {
    "Error loading config": "config",
    "Model provider": "config",
    "Missing environment variable": "missing-credential",
    "provider auth command": "command",
    "waiting for network": "unreachable",
    "workspace routing discovery": "workspace-routing",
    "Logging out.": "policy",
    "logged out or signed in to another account": "account-changed",
    "Please log out and sign in again": "login-refused",
    "Failed to refresh token": "renewal",
}
_STATUS = {
    "Not logged in": "not signed in",
    "Logged in using ChatGPT": "ChatGPT",
    "Logged in using personal access token": "personal access token",
    "Error checking login status: failed to deserialize": "damaged",
    "Error checking login status: failed to load CLI auth from keyring": "store not readable",
}
_LOGIN = {
    "API key saved": "saved",
    "Successfully logged in": "saved",
    "provided via stdin": "missing-credential",
    "did not contain valid UTF-8": "illegal-header",
    "no longer supported": "usage",
    "is disabled. Use": "policy",
    "metadata request failed with status 401": "not-signed-in",
    "failed to decode agent identity JWT": "credential",
    "to keyring": "store",
    "Sign-in failed": "access-denied",
    "is not enabled for your workspace": "access-denied",
    "Missing authorization code": "sign-in",
    "Token exchange failed": "sign-in",
    "device auth failed": "sign-in",
    "invalid type": "sign-in",
    "login is not enabled": "flow-disabled",
    "already in use": "port",
    "is restricted to workspace": "policy",
}
_CONFIGURATION = {"Error loading config": "config"}
_LOGOUT = {"Successfully logged out": "signed out", "Not logged in": "not signed in", "from keyring": "store"}
"""What Codex says on stderr, and what that means: where keyfob fails too, its error's code."""


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
class Call:
    """One request to the issuer. `url` has no scheme; `body` is as it was sent."""

    url: str
    body: str
    authorization: str | None
    content_type: str | None

    @property
    def key(self) -> str:
        """The recorder's key for it."""
        return issuer_key(self.url) or ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.url, self.body, self.authorization, self.content_type) if part)


def issuer_key(path: str) -> str | None:
    """The recorder's key for a path of the issuer, None for any other."""
    return next((key for end, key in ISSUER.items() if path.endswith(end)), None)


@dataclass(frozen=True)
class Stored:
    """auth.json after a run: its fields by their path, in their order, and its mode; None where there is none.

    A text that is no JSON object is one field, without a path.
    """

    fields: Mapping[str, object] | None = None
    mode: str | None = None
    newline: bool | None = None

    @classmethod
    def of(cls, text: str | None, before: str | None, mode: str | None) -> Stored:
        """A time of renewal, and what marks a sign-in, count as new or as the old one."""
        if text is None:
            return cls()
        fields = flattened(_json(text))
        old = flattened(_json(before or ""))
        for name, new in _NEW.items():
            if name in fields:
                fields[name] = _told(fields[name], old.get(name), new)
        return cls(fields, mode, text.endswith("\n"))


_NEW = {
    "last_refresh": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"),
    "tokens.login_owner_id": re.compile(r"[\w-]{43}"),
}


def _told(value: object, old: object, new: re.Pattern[str]) -> object:
    if value == old:
        return "as before"
    return "new" if isinstance(value, str) and new.fullmatch(value) else value


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def flattened(value: object, path: str = "") -> dict[str, object]:
    """The leaves of a JSON value by their path."""
    if not isinstance(value, Mapping):
        return {path: value}
    return {
        at: leaf
        for name, inner in value.items()
        for at, leaf in flattened(inner, f"{path}.{name}" if path else name).items()
    }


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    requests: those to the model. ending: what each step came to: a status, an error's code, or a word for what it
    said, and the exit code where it was no turn. calls: those to the issuer. order: the keys of both kinds. waited:
    whether it was held up by the lock that somebody held; None where nobody did.
    """

    requests: Sequence[Request]
    ending: str
    command_ran: bool | None = None
    """Whether the token command was run; None where the recording does not tell."""
    calls: Sequence[Call] = ()
    order: Sequence[str] = ()
    stored: Stored = field(default_factory=Stored)
    waited: bool | None = None
    replaced: bool | None = None
    """Whether auth.json is another file afterwards; None where the recording does not tell."""
    page: int | None = None
    """The status of the last page that the browser showed; None where there was none."""
    pauses: Sequence[int] | None = None
    """Seconds between the polls of a device; None where there was none."""
    heard: Sequence[str] | None = None
    """What was said to another program that held the ports; None where there was none."""


def differences(codex: Outcome, keyfob: Outcome) -> dict[str, object]:
    """What keyfob did, by field, where Codex did something else; requests are compared as far as both made them.

    How often Codex repeats a call to the issuer in one step is its own business, and left out of `codex` already.
    """
    found: dict[str, object] = {}
    if [ours.url for ours in keyfob.requests] != [theirs.url for theirs in codex.requests]:
        found["requests"] = [ours.url for ours in keyfob.requests]
    pairs = list(zip(keyfob.requests, codex.requests, strict=False))
    for name in ("query", "authorization", "headers"):
        if any(getattr(ours, name) != getattr(theirs, name) for ours, theirs in pairs):
            found[name] = [getattr(ours, name) for ours, _ in pairs]
    if keyfob.calls != codex.calls:
        found["calls"] = [str(call) for call in keyfob.calls]
    if once(keyfob.order) != once(codex.order) and "calls" not in found and "requests" not in found:
        found["order"] = list(keyfob.order)
    for name in ("ending", "waited", "command_ran", "replaced", "page", "pauses", "heard"):
        if getattr(codex, name) not in (None, getattr(keyfob, name)):
            found[name] = getattr(keyfob, name)
    return found | _stored(codex.stored, keyfob.stored)


def once(items: Sequence[Any]) -> list[Any]:
    """The items without those that are the same as the one before."""
    return [item for item, _ in groupby(items)]


def _stored(codex: Stored, keyfob: Stored) -> dict[str, object]:
    if codex.fields is None or keyfob.fields is None:
        return {} if codex == keyfob else {"stored": keyfob.fields}
    found: dict[str, object] = {}
    names = dict.fromkeys([*codex.fields, *keyfob.fields])
    other = {name: keyfob.fields.get(name) for name in names if keyfob.fields.get(name) != codex.fields.get(name)}
    if other:
        found["stored"] = other
    common = [name for name in keyfob.fields if name in codex.fields]
    if common != [name for name in codex.fields if name in keyfob.fields]:
        found["stored_order"] = common
    for name in ("mode", "newline"):
        if getattr(codex, name) != getattr(keyfob, name):
            found[name] = getattr(keyfob, name)
    return found


class Vector:
    """One recorded run. group: the folder it is in. with_keyring: whether a Secret Service ran."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.with_keyring = "_daemon_" in self.name and "_no_daemon_" not in self.name
        self.group = path.parent.name
        self._text = path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return self.name

    @property
    def run(self) -> Any:
        """The recording, in placeholders."""
        return json.loads(self._text)

    def given(self, values: Mapping[str, str], now: int, aged: float = 0.0) -> Given:
        """What the run was given, with `values` for its placeholders, as if it had begun at `now`.

        aged: how many seconds older its login is.
        """
        text = self._text
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        return Given(json.loads(text), now, aged)

    def tokens(self, now: int) -> dict[str, str]:
        """Placeholder → token, for each of the run."""
        return tokens_of(json.dumps(self.run, ensure_ascii=False), now)

    @property
    def answers(self) -> Mapping[str, Sequence[Any]]:
        """The server's script, by the recorder's keys."""
        scripted: Mapping[str, Sequence[Any]] = self.run["given"].get("answers", {})
        return scripted

    @property
    def codex(self) -> Outcome:
        """What Codex did, in placeholders."""
        run = self.run
        posts = _posts(run)
        issuer = [sent for sent in run["requests"] if sent["key"] in {*ISSUER.values(), *SIGN_IN}]
        extra = run.get("extra", {})
        runs, same = extra.get("command_runs"), extra.get("inode_same")
        held = "another process holds" in run.get("about", "")
        return Outcome(
            [Request.of(sent["host"] + sent["path"], sent["query"], sent["headers"]) for sent in posts],
            " / ".join(dict.fromkeys(_ending(step, posts) for step in run["steps"])),
            None if runs is None else int(runs) > 0,
            [call for step in _by_step(run, issuer) for call in _calls(step)],
            [sent["key"] for sent in run["requests"] if sent in posts or sent in issuer],
            Stored.of(run["auth_after"], run["auth_before"], run.get("auth_after_mode")),
            run["steps"][0]["seconds"] > _HELD_UP if held else None,
            None if same is None else not same,
            *_signing_in(run),
        )


# Seconds: the lock was held for 3.
_HELD_UP = 2.0


class Given:
    """What a run was given, its placeholders filled in; times are in seconds since the epoch."""

    def __init__(self, run: Mapping[str, Any], now: int, aged: float) -> None:
        later = now - run["given"]["now"] - aged
        self.environ: Mapping[str, str] = run["env"]
        self.overrides = [value for flag, value in pairwise(run["steps"][0]["argv"]) if flag == "-c"]
        self.now: float = now
        self.models_asked_at = [now + sent["at_s"] for sent in run["requests"] if sent["key"] == "models"]
        self.posted_at = next((now + sent["at_s"] for sent in _posts(run)), self.now)
        self.login = None if run["auth_before"] is None else shifted(run["auth_before"], later)
        self._texts = {f"{STATE}/config.toml": run["config"], f"{STATE}/auth.json": self.login}
        self._files = run["given"].get("files", {})
        self._mode = _MODES.get(run["name"], "0600")

    def write(self, home: Path, system: Path) -> None:
        """Write configuration, login and further files."""
        plain = {name: {"text": text, "mode": self._mode} for name, text in self._texts.items() if text is not None}
        (home / STATE).mkdir(parents=True)
        for name, file in (plain | self._files).items():
            place = system / name.removeprefix(SYSTEM) if name.startswith(SYSTEM) else home / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file["text"], encoding="utf-8")
            place.chmod(int(file["mode"], 8))


_MODES = {"auth_json_mode_bits_0644": "0644", "refresh_file_mode_0644": "0644", "login_key_over_0644": "0644"}
"""The mode of auth.json at the start, which the recorder did not keep; the runs' names tell it."""


def _posts(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The requests to the model."""
    return [
        sent
        for sent in run["requests"]
        if sent["method"] == "POST" and sent["key"] not in _ERRANDS and not sent["path"].startswith(CLIENT_POSTS)
    ]


def _by_step(run: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The requests of each step; several at once count as one."""
    copies = run["given"].get("steps", [{}])[0].get("copies", 1)
    ends = [0, *(step["requests_so_far"] for step in run["steps"][copies - 1 :])]
    return [[sent for sent in requests if start < sent["n"] <= end] for start, end in pairwise(ends)]


_ERRANDS = (*ISSUER.values(), *SIGN_IN)


def _calls(sent: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The requests of a step to the issuer: repeated renewals once, every poll of a device."""
    calls = [_call(each) for each in sent]
    return calls if any(each["key"] in SIGN_IN for each in sent) else once(calls)


def _call(sent: Mapping[str, Any]) -> Call:
    headers = sent["headers"]
    url = sent["host"] + sent["path"] + (f"?{sent['query']}" if sent["query"] else "")
    return Call(unmade(url), unmade(sent["body"]), headers.get("authorization"), headers.get("content-type"))


_MADE = re.compile(
    r"(?<![\w-])(?P<name>code|state|code_challenge|code_verifier|device_auth_id|user_code)"
    r'(?P<sign>=|":")(?P<value>[\w-]+)'
)
# What the client makes is as long as Codex's; the rest is the issuer's.
_OF_THE_CLIENT = ("state", "code_challenge", "code_verifier")


def unmade(text: str) -> str:
    """The text of a request without what every sign-in makes anew."""
    issuers = "deviceauth" in text  # then the verifier is, too

    def placeholder(found: re.Match[str]) -> str:
        length = f" {len(found['value'])}" if found["name"] in _OF_THE_CLIENT and not issuers else ""
        return f"{found['name']}{found['sign']}<{found['name']}{length}>"

    return _MADE.sub(placeholder, text)


def _signing_in(run: Mapping[str, Any]) -> tuple[int | None, list[int] | None, list[str] | None]:
    """What the browser showed last, the pauses between polls, and what was said to who held the ports."""
    pages = re.findall(r"HTTP/1.1 (\d+)", run.get("browser.log", ""))
    polls = [sent["at_s"] for sent in run["requests"] if sent["key"] == "device.token"]
    extra = run.get("extra", {})
    heard = [line for port in (1455, 1457) for line in extra.get(f"port_{port}_heard", ())]
    return (
        int(pages[-1]) if pages else None,
        [round(later - earlier) for earlier, later in pairwise(polls)] if polls else None,
        heard if "port_1455_heard" in extra else None,
    )


def _ending(step: Mapping[str, Any], posts: Sequence[Mapping[str, Any]]) -> str:
    """How a step ended. A successful turn may have logged errors that it went past."""
    said: str = step["stderr"]
    if step["do"] == "turn":
        if step["exit"] == "timeout":
            return "timeout"
        known = [ending for text, ending in _TURNS.items() if text in said]
        return known[0] if known and step["exit"] != 0 else str(posts[-1]["answered"])
    if step["do"] == "shell":
        return _keyring(step["stdout"].partition("---")[0] + said)
    return "waits" if step["exit"] == "timeout" else f"{_meaning(step['do'], said)} ({step['exit']})"


def _keyring(listed: str) -> str:
    """What `secret-tool search` lists, of one item at most."""
    fields = dict(line.split(" = ", 1) for line in _HASH.sub("{hash}", listed).splitlines() if " = " in line)
    attributes = {name.removeprefix("attribute."): value for name, value in fields.items() if name not in _OWN}
    return item(fields["label"], fields["secret"], attributes) if fields else "no item"


_HASH = re.compile(r"(?<=cli\|)[0-9a-f]{16}")
# The item's own, and the schema, which the service adds to every item that names none.
_OWN = ("label", "secret", "created", "modified", "schema")


def item(label: str, secret: str, attributes: Mapping[str, str]) -> str:
    """An item of the keyring, as a word for what a step came to; without what every sign-in makes anew."""
    secret = re.sub(r'(?<="login_owner_id":")[\w-]{43}(?=")', "{new}", secret)
    secret = re.sub(rf'(?<="last_refresh":"){_NEW["last_refresh"].pattern}(?=")', "{new}", secret)
    return f"item {label} {dict(sorted(attributes.items()))} {secret}"


def _meaning(do: str, said: str) -> str:
    if do == "login_status" and "API key configured - " in said:
        return "API key " + said.partition("API key configured - ")[2].split("\n")[0]
    table = _CONFIGURATION | {"login_status": _STATUS, "logout": _LOGOUT}.get(do, _LOGIN)
    return next(meaning for text, meaning in table.items() if text in said)


VECTORS = [Vector(path) for path in sorted(DATA.glob("*/*.json"))]
