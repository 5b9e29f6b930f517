"""keyfob in the place of Codex: the same files, environment and answers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from keyfob import Host
from keyfob.cli.run import EXIT_INTERRUPTED, run
from keyfob.cli.terminal import Terminal
from keyfob.config.places import Places
from keyfob.credentials.renewals import Renewals
from keyfob.errors import ConfigError, KeyfobError
from keyfob.httpx import Client
from keyfob.testing.model_server import Answer, ModelServer, Received

from .recorded import STATE, Call, Given, Outcome, Request, Stored, Vector, issuer_key, item, unmade
from .scenes import held, script, written_by_another
from .sign_ins import SigningIn, signing_in, signs_in
from .tokens import shifted, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pytest

    from ..secret_service import SecretService  # noqa: TID252

_ISSUER = "auth.openai.com"
VENDORS = (_ISSUER, "chatgpt.com", "api.openai.com")
"""Where requests go by default; the recorder stood in for them."""

AS_COMMANDS = ("policy", "status-login-logout", "store")
"""The groups whose turns are commands too; the others' are made with the library, at the time when Codex made them."""

SERVICE = "Codex Auth"
"""The name of Codex's entry in the keyring; see codex-observed, G."""
SEEDED = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-seeded-by-means-of-secret-tool"}
"""What was in the keyring at the start of runs that say so; the recorder kept of it what status shows."""

_stopping = ThreadPoolExecutor(4)
_MODEL = "responses"
"""The recorder's key for a request to the model."""
_BODY = {"model": "gpt-5", "input": "hi", "stream": True}


class Run:
    """One run. aged: how many seconds older its logins are than they were. service: the keyring, where there is one.

    The server calls back for each request: that is where another program meddles with the disk.
    """

    def __init__(self, vector: Vector, home: Path, *, aged: float = 0.0, service: SecretService | None = None) -> None:
        self._aged, self._service = aged, service
        self._vector, self._home = vector, home
        self._now = int(time.time())
        self._later = self._now - vector.run["given"]["now"]
        self._values = vector.tokens(self._now)
        self._meddled = False
        self._signing_in: SigningIn | None = None
        self._server = ModelServer(answers=self._script(), accepts=self._meddle)

    def _script(self) -> dict[str, list[Any]]:
        """The server's, with tokens for placeholders."""
        return {key: [self._answer(each) for each in answers] for key, answers in script(self._vector).items()}

    def _answer(self, scripted: Any) -> Any:
        if isinstance(scripted, Answer) and scripted.body is not None:
            text = json.dumps(scripted.body)
            return Answer(scripted.status, body=self._filled(text).encode(), delay_s=scripted.delay_s)
        return scripted

    def _filled(self, text: str) -> str:
        for placeholder, token in tokens_of(text, self._now).items():
            self._values[placeholder] = token
            text = text.replace(placeholder, token)
        return text

    def _meddle(self, received: Received) -> bool:
        key = issuer_key(received.path) or _MODEL
        text = written_by_another(self._vector, key) if received.method == "POST" and not self._meddled else None
        if text is not None:
            self._meddled = True
            path = self._home / STATE / "auth.json"
            path.unlink()
            if text:
                path.write_text(shifted(self._filled(text), self._later - self._aged), encoding="utf-8")
                path.chmod(0o600)
        return True

    def outcome(self, monkeypatch: pytest.MonkeyPatch) -> Outcome:
        """Do what Codex did, and tell what came of it, in placeholders."""
        server = self._server.start()
        with ExitStack() as stack:
            stack.callback(_stopping.submit, server.stop)  # it takes as long as all the rest
            if signs_in(self._vector):
                self._signing_in = stack.enter_context(signing_in(self._vector, self._filled, monkeypatch))
            _stand_in(monkeypatch, self._origins)
            self._prepare()
            monkeypatch.chdir(self._home / "proj" if (self._home / "proj").exists() else self._home)
            before, inode = set(self._home.iterdir()), self._inode()
            waited, ending = self._held_up(lambda: self._steps(monkeypatch))
            ran = set(self._home.iterdir()) != before
        received = self._received()
        outcome = Outcome(
            [self._request(each) for key, each in received if key == _MODEL],
            ending,
            ran,
            [self._call(each) for key, each in received if key != _MODEL],
            [key for key, _ in received],
            self._stored(),
            waited,
            self._inode() != inode,
        )
        return self._signing_in.added_to(outcome) if self._signing_in else outcome

    @property
    def _origins(self) -> dict[str, str]:
        """Who stands in for each vendor."""
        issuer = {_ISSUER: self._signing_in.issuer.url} if self._signing_in else {}
        return dict.fromkeys(VENDORS, self._server.origin) | issuer

    def _received(self) -> list[tuple[str, Received]]:
        """The requests that count, each with the recorder's key for it; signing in comes first."""
        asked = self._signing_in.issuer.asked if self._signing_in else []
        sent = [each for each in self._server.received if each.method == "POST" or issuer_key(each.path)]
        return [
            *((each.endpoint, each.received) for each in asked),
            *((issuer_key(each.path) or _MODEL, each) for each in sent),
        ]

    def _inode(self) -> int | None:
        path = self._home / STATE / "auth.json"
        return path.stat().st_ino if path.exists() else None

    def _prepare(self) -> None:
        origin = self._origins[_ISSUER if self._vector.group == "browser-device" else VENDORS[-1]]
        self._values |= {
            "{base}": origin,
            "{hostport}": origin.removeprefix("http://"),
            "{state}": str(self._home / STATE),
            "{home}": str(self._home),
        }
        self._given: Given = self._vector.given(self._values, self._now, self._aged)
        self._system = self._home.parent / "etc"
        self._given.write(self._home, self._system)
        self._environ = {"PATH": os.environ["PATH"], "HOME": str(self._home), **self._given.environ}
        state = self._given.environ.get("CODEX_HOME", self._values["{state}"])
        if not os.path.exists(state):
            os.symlink(self._values["{state}"], state)
        self.places = Places(state, system=str(self._system), cache=str(self._home.parent / "cache"))
        if self._service is not None and "_seeded" in self._vector.name:
            self._service.add(json.dumps(SEEDED), service=SERVICE, username=f"cli|{self._hash}")

    @property
    def _hash(self) -> str:
        """What names this CODEX_HOME in the keyring; see codex-observed, G."""
        return hashlib.sha256(os.path.realpath(self._home / STATE).encode()).hexdigest()[:16]

    # Doing it

    def _held_up(self, steps: Callable[[], str]) -> tuple[bool | None, str]:
        """Do it while another process holds the lock that the recorder held, and say whether that held it up."""
        lock = held(self._vector)
        if lock is None:
            return None, steps()
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(steps()))
        # Who is expected to wait is watched for a moment; who is not, for as long as it takes.
        patience = 0.5 if self._vector.codex.waited else 60.0
        command = [sys.executable, "-I", "-c", _HOLD[lock.kind], str(self._home / STATE / lock.name)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            thread.start()
            thread.join(patience)
            waited = thread.is_alive()
            holder.communicate()
        thread.join(60)
        return waited, found[0]

    def _steps(self, monkeypatch: pytest.MonkeyPatch) -> str:
        recorded = self._vector.run
        steps = recorded["steps"]
        stdins = {step["do"]: _stdin(step) for step in recorded["given"].get("steps", ())}
        if len(steps) > 1 and all(step["do"] == "turn" for step in steps):
            with ThreadPoolExecutor(len(steps)) as pool:
                return " / ".join(dict.fromkeys(pool.map(lambda _: self._turn(), steps)))
        endings = [self._step(step, stdins.get(step["do"], b""), monkeypatch) for step in steps]
        return " / ".join(dict.fromkeys(endings))

    def _step(self, step: Mapping[str, Any], stdin: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
        match step["do"]:
            case "turn" if self._vector.group not in AS_COMMANDS:
                return self._turn()
            case "turn":
                done = self._command(["request", "responses", "-d", json.dumps(_BODY)])
                return done.failure or "200"
            case "login_status":
                done = self._command(["status", "--json"])
                return f"{_status(done)} ({done.code})"
            case "shell":
                return self._keyring()
            case "logout":
                done = self._command(["logout"])
                return f"{done.failure or _signed_out(done)} ({done.code})"
            case _:
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
                done = self._command([self._given_for(argument) for argument in step["argv"]])
                return "waits" if done.code == EXIT_INTERRUPTED else f"{done.failure or 'saved'} ({done.code})"

    def _keyring(self) -> str:
        """What lies in the keyring, under names that hold the hash of CODEX_HOME."""
        assert self._service is not None
        found = []
        for each in self._service.items(service=SERVICE):
            attributes = {name: value for name, value in each["attributes"].items() if not name.startswith("xdg:")}
            found.append(item(each["label"], self._told(each["secret"]), attributes).replace(self._hash, "{hash}"))
        return ", ".join(found) or "no item"

    def _turn(self) -> str:
        """Codex asks for the models first: nothing to compare, but what a token command printed ages by it."""
        at = [float(self._now)]
        host = Host(
            self._environ,
            overrides=self._given.overrides,
            places=self.places,
            warn=lambda _: None,
            clock=lambda: at[0],
            renew=Renewals().start,  # as in a process of its own
        )
        try:
            with Client(host=host, verify=False) as client:  # reading the certificates takes longer than all the rest
                for at[0] in self._given.models_asked_at:
                    client.get("models")
                at[0] = self._given.posted_at
                return str(client.post("responses", json=_BODY).status_code)
        except KeyfobError as error:
            return "config" if isinstance(error, ConfigError) else error.code

    def _command(self, arguments: Sequence[str]) -> _Done:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        terminal = _Listening(out, io.StringIO(), self._environ)
        code = run(arguments, self._environ, lambda: terminal, self.places)
        out.flush()
        return _Done(code, out.buffer.getvalue(), tuple(terminal.notes), terminal.failure)

    # Telling it

    def _stored(self) -> Stored:
        path = self._home / STATE / "auth.json"
        if not path.is_file():
            return Stored()
        mode = f"{path.stat().st_mode & 0o7777:04o}"
        before = None if self._given.login is None else self._told(self._given.login)
        return Stored.of(self._told(path.read_text(encoding="utf-8")), before, mode)

    def _request(self, received: Received) -> Request:
        """A header that was sent twice shows as both values."""
        names = {name.lower() for name, _ in received.headers}
        headers = {name: self._told(", ".join(received.header_list(name))) for name in names}
        return Request.of(self._told(f"{received.header('host')}{received.path}"), received.query, headers)

    def _call(self, received: Received) -> Call:
        authorization, content_type = received.header("authorization"), received.header("content-type")
        query = f"?{received.query}" if received.query else ""
        url, body = (
            self._told(text) for text in (f"{received.header('host')}{received.path}{query}", received.body.decode())
        )
        return Call(unmade(url), unmade(body), authorization and self._told(authorization), content_type)

    def _given_for(self, argument: str) -> str:
        return argument.replace("{base}", self._values["{base}"])

    def _told(self, text: str) -> str:
        text = text.replace(quote(self._values["{hostport}"]), "{hostport}")
        for placeholder, value in self._values.items():
            text = text.replace(value, placeholder)
        return self._signing_in.ports.told(text) if self._signing_in else text


class _Listening(Terminal):
    """Keeps what is said, and the code of the error."""

    def __init__(self, *streams: Any) -> None:
        super().__init__(*streams)
        self.notes: list[str] = []
        self.failure: str | None = None

    def note(self, message: str, *, hint: str | None = None) -> None:
        self.notes.append(message)

    def error(self, error: KeyfobError) -> None:
        self.failure = "config" if isinstance(error, ConfigError) else error.code


@dataclass(frozen=True)
class _Done:
    """What one command came to."""

    code: int
    out: bytes
    notes: Sequence[str]
    failure: str | None


def _status(done: _Done) -> str:
    """The first login's state, or if that is good, its method, as Codex would call it."""
    if done.failure:
        return done.failure
    login = json.loads(done.out)["logins"][0]
    if login["state"] not in ("present", "expired but renewable"):
        return str(login["state"])
    return " ".join(part for part in (login["method"], login["key"] if login["method"] == "API key" else None) if part)


def _signed_out(done: _Done) -> str:
    return "signed out" if any(note.startswith("signed out of") for note in done.notes) else "not signed in"


def _stdin(step: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(step["stdin_hex"]) if "stdin_hex" in step else str(step.get("stdin", "")).encode()


_HOLD = {
    "flock": """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
""",
    "posix": """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
""",
}
"""What holds a lock until its stdin is closed."""


def _stand_in(monkeypatch: pytest.MonkeyPatch, origins: Mapping[str, str]) -> None:
    """Send what goes to a vendor to who stands in for it; the header `Host` still names the vendor."""
    send = httpx.HTTPTransport.handle_request
    servers = {vendor: httpx.URL(origin) for vendor, origin in origins.items()}

    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        server = servers.get(request.url.host)
        if server is not None:
            request.url = request.url.copy_with(scheme=server.scheme, host=server.host, port=server.port)
        return send(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)
