"""The canary test: no secret shows, whatever is done with it and whatever goes wrong.

A canary of its own stands for each kind of secret. Then everything is done that can be done, and all that can be read
afterwards is searched: what was printed, logged, warned of and raised, how objects show themselves, pickles, and files.
Only `token`, `headers --reveal` and `exec` may print one.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import anyio
import httpx as real_httpx
import httpx2 as real_httpx2
import pytest

import keyfob.httpx
import keyfob.httpx2
from keyfob import Host, Provider
from keyfob.cli.run import run
from keyfob.cli.terminal import Terminal
from keyfob.config.places import Places
from keyfob.testing.issuer import jwt
from keyfob.testing.model_server import Answer, ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

KINDS = ("access-token", "argument", "bearer", "command", "dotenv", "environment", "header", "header-variable",
         "id-token", "misplaced", "override", "query", "refresh-token", "stored-key", "typed")  # fmt: skip
CANARIES = {kind: f"canary-{kind}-5f3c9a" for kind in KINDS}

CONFIG = """
[model_providers.env]
base_url = "{origin}/v1"
env_key = "ENV_KEY"

[model_providers.dotenv]
base_url = "{origin}/v1"
env_key = "DOTENV_KEY"

[model_providers.stored]
base_url = "{origin}/v1"
env_key = "STORED_KEY"

[model_providers.chatgpt]
base_url = "{origin}/v1"
requires_openai_auth = true

[model_providers.bearer]
base_url = "{origin}/v1"
experimental_bearer_token = "{bearer}"

[model_providers.headers]
base_url = "{origin}/v1"
http_headers = {{ "X-Written" = "{header}" }}
env_http_headers = {{ "X-Variable" = "HEADER_KEY" }}
query_params = {{ "key" = "{query}" }}

[model_providers.command]
base_url = "{origin}/v1"
auth = {{ command = "sh", args = ["-c", "printf %s {command}", "{argument}"] }}

[model_providers.failing]
base_url = "{origin}/v1"
auth = {{ command = "sh", args = ["-c", "printf %s {command}; exit 3", "{argument}"] }}

[model_providers.illegal]
base_url = "{origin}/v1"
auth = {{ command = "sh", args = ["-c", "printf 'two %s\\\\nlines' {command}", "{argument}"] }}

[model_providers.slow]
base_url = "{origin}/v1"
auth = {{ command = "sh", args = ["-c", "printf %s {command}; sleep 5", "{argument}"], timeout_ms = 20 }}

[model_providers.gone]
base_url = "http://127.0.0.1:9/v1"
env_key = "ENV_KEY"
query_params = {{ "key" = "{query}" }}
request_max_retries = 0
"""

# Faults that have a secret in them, each the text of one more entry.
BROKEN = {
    "a list for a string": 'env_key = ["{misplaced}"]',
    "a list for a token": 'experimental_bearer_token = ["{misplaced}"]',
    "a string for a table": 'http_headers = "{misplaced}"',
    "a list in a table": 'query_params = {{ key = ["{misplaced}"] }}',
    "a string for a number": 'stream_max_retries = "{misplaced}"',
    "a string for true": 'requires_openai_auth = "{misplaced}"',
    "a number below zero": 'auth = {{ command = "sh", args = ["{misplaced}"], timeout_ms = -1 }}',
    "a command that is not there": 'auth = {{ command = "no-such-command", args = ["{misplaced}"] }}',
    "a key that is not known": 'api_key = "{misplaced}"',
    "a key of a command that is not known": 'auth = {{ command = "true", token = "{misplaced}" }}',
    "a table that nobody declared": 'hmac = {{ secret = "{misplaced}" }}',
    "two ways": 'experimental_bearer_token = "{misplaced}"\nauth = {{ command = "true" }}',
    "a token with a line break": 'experimental_bearer_token = "one\\n{misplaced}"',
    "a token that is not ASCII": 'experimental_bearer_token = "é{misplaced}"',
    "a header with a line break": 'http_headers = {{ X-Key = "one\\n{misplaced}" }}',
    "a header's name with a blank": 'http_headers = {{ "X Key" = "{misplaced}" }}',
    "a variable with a line break": 'env_key = "ILLEGAL_KEY"',
    "a header's variable with a line break": 'env_http_headers = {{ X-Key = "ILLEGAL_KEY" }}',
    "userinfo in a base URL": 'base_url = "https://user:{misplaced}@llm.test/v1"',
    "a query in a base URL": 'base_url = "https://llm.test/v1?key={misplaced}"',
    "plain http": 'base_url = "http://llm.test/v1"\nexperimental_bearer_token = "{misplaced}"',
    "a base URL that is none": 'base_url = "{misplaced}"\nhttp_headers = {{ X-Key = "{misplaced}" }}',
    "half of a base URL": 'base_url = "https://[{misplaced}/v1"',
}

# Whole files that cannot be read, each with a secret in it.
DAMAGED = {
    "no end of a string": b'[model_providers.broken]\nexperimental_bearer_token = "%s\n',
    "a key twice": b'[model_providers.broken]\nenv_key = "%s"\nenv_key = "%s"\n',
    "no value": b"[model_providers.broken]\nexperimental_bearer_token = %s\n",
    "not UTF-8": b'[model_providers.broken]\nexperimental_bearer_token = "%s\xff"\n',
    "a string for all tables": b'model_providers = "%s"\n',
    "a string for a provider": b'[model_providers]\nbroken = "%s"\n',
    "a list for the default": b'model_provider = ["%s"]\n',
}

OVERRIDES = (
    'model_providers.env.experimental_bearer_token="{override}"',
    'model_providers.env.env_key=["{override}"]',
    "{override}",
    "={override}",
    "model_providers={override}",
    "[={override}",
)

COMMANDS = (
    ("providers",),
    ("providers", "--json"),
    ("explain", "PROVIDER"),
    ("explain", "PROVIDER", "--json"),
    ("explain", "PROVIDER", "{origin}/v1/models?key={misplaced}"),
    ("explain", "PROVIDER", "https://user:{misplaced}@elsewhere.test/"),
    ("request", "models", "--provider", "PROVIDER"),
    ("request", "models", "--provider", "PROVIDER", "-i"),
    ("request", "refused", "--provider", "PROVIDER", "-d", "x"),
    ("request", "away", "--provider", "PROVIDER"),
    ("request", "https://user:{misplaced}@elsewhere.test/", "--provider", "PROVIDER"),
    ("check", "PROVIDER"),
    ("check", "PROVIDER", "--json"),
    ("plugins",),
    ("plugins", "--json"),
    ("config", "schema"),
    ("completion", "bash"),
    ("token", "PROVIDER", "--format", "nonsense"),
    ("exec", "PROVIDER"),
    ("exec", "PROVIDER", "--", "no-such-command"),
)  # fmt: skip

EXPORTED = (keyfob.Credential, keyfob.Host, keyfob.KeyfobError, keyfob.Provider, keyfob.SecretHeaders)


def seen_in(text: str, canaries: Mapping[str, str] = CANARIES) -> list[str]:
    """The kinds of canary in a text."""
    return [kind for kind, value in canaries.items() if value in text]


def around(value: str, text: str) -> str:
    """The part of a text that has the value, for whoever has to find out where it comes from."""
    at = text.index(value)
    return f"{text[:40]} … {text[max(0, at - 80) : at + len(value) + 20]}"


class Ears:
    """Collects what is said, wherever it is said."""

    def __init__(
        self,
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
        warned: Sequence[warnings.WarningMessage],
        canaries: Mapping[str, str],
    ) -> None:
        self._capfd, self._caplog = capfd, caplog
        self._told: list[str] = []
        self._warned = warned
        self._canaries = dict(canaries)

    def learn(self, **secrets: str) -> None:
        """Secrets of another kind, which nobody could know beforehand: they are listened for too, from the start."""
        self._canaries |= secrets

    def tell(self, text: str) -> None:
        """Something that was not printed but could be."""
        self._told.append(text)

    def attempt(self, act: Callable[[], object]) -> object:
        """What `act` returns; or its exception, whose whole traceback is listened to."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not show a secret
            self.tell("".join(traceback.format_exception(error)))
            self.look_at(error)
            return error

    def look_at(self, subject: object) -> None:
        """How an object, and what of ours its public names lead to, shows itself; and pickles of what is exported."""
        for each in reachable(subject, {}):
            self.tell(f"{each!r} {each!s}")
            if isinstance(each, EXPORTED):
                self.tell(pickled(each))

    def heard(self) -> list[str]:
        """The kinds of canary that were said up to now, each with where."""
        records = [logging.Formatter().format(record) for record in self._caplog.get_records("call")]
        texts = [*self._capfd.readouterr(), *records, *(str(warned.message) for warned in self._warned), *self._told]
        known = self._canaries
        return [f"{kind}: {around(known[kind], text)}" for text in texts for kind in seen_in(text, known)]


@pytest.fixture
def ears(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Ears]:
    """Ears that are open during the test."""
    with listening(capfd, caplog, CANARIES) as open_ears:
        yield open_ears


@contextlib.contextmanager
def listening(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, canaries: Mapping[str, str]
) -> Iterator[Ears]:
    """Ears for these canaries."""
    caplog.set_level(logging.DEBUG)  # of the root, and so of httpx, httpcore and their forks
    with warnings.catch_warnings(record=True, action="always") as warned:
        yield Ears(capfd, caplog, warned, canaries)


def reachable(subject: object, seen: dict[int, object]) -> Iterator[object]:
    """The object, and every object of keyfob's that its public attributes and items lead to."""
    if id(subject) in seen:
        return
    seen[id(subject)] = subject
    if isinstance(subject, tuple | list):
        for item in subject:
            yield from reachable(item, seen)
    elif type(subject).__module__.startswith("keyfob"):
        yield subject
        for name in dir(subject):
            if not name.startswith("_"):
                yield from reachable(attribute(subject, name), seen)


def attribute(subject: object, name: str) -> object:
    """An attribute; the exception where a property raises one."""
    with warnings.catch_warnings(action="ignore"):  # pydantic's, of attributes that only its classes should be asked
        try:
            return getattr(subject, name)
        except Exception as error:  # noqa: BLE001
            return error


def pickled(subject: object) -> str:
    """The pickle, or why there is none."""
    try:
        return pickle.dumps(subject).decode("latin-1")
    except Exception as error:  # noqa: BLE001
        return str(error)


class World:
    """A home, an environment and a model server, with a canary wherever a secret can be."""

    def __init__(self, folder: Path, server: ModelServer) -> None:
        self.server = server
        self.places = Places(str(folder / "home"), system=str(folder / "system"), cache=str(folder / "cache"))
        self.home, self.cache = folder / "home", folder / "cache"
        self.home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "ENV_KEY": CANARIES["environment"],
            "HEADER_KEY": CANARIES["header-variable"],
            "ILLEGAL_KEY": f"one\n{CANARIES['environment']}",
        }
        self.configure(self.filled(CONFIG))
        (self.home / ".env").write_text(f"DOTENV_KEY={CANARIES['dotenv']}\nnonsense {CANARIES['dotenv']}\n")

    def filled(self, text: str) -> str:
        """A text with its canaries."""
        return text.format(origin=self.server.origin, **CANARIES)

    def configure(self, text: str | bytes) -> None:
        """Write config.toml."""
        (self.home / "config.toml").write_bytes(text if isinstance(text, bytes) else text.encode())

    def host(self, overrides: Sequence[str] = ()) -> Host:
        """A host that warns as users' hosts do."""
        return Host(self.environ, places=self.places, overrides=overrides)

    def run(self, *arguments: str) -> int:
        """Run a command of the command line."""
        return run(arguments, self.environ, places=self.places)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world whose server refuses some requests, sends some away, and answers the others."""
    away = Answer(302, {"Location": "http://127.0.0.1:9/"})
    answers = {"/v1/refused": [401], "/v1/closed": [Answer(close=True)], "/v1/away": [away]}
    with ModelServer(answers=answers) as server:
        yield World(tmp_path, server)


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


PROVIDERS = ("env", "dotenv", "bearer", "headers", "command", "failing", "illegal", "slow", "gone", "openai", "nobody")
REQUESTS = ("models", "refused", "closed", "away", "http://127.0.0.1:9/")


def everything(provider: Provider) -> Iterator[Callable[[], object]]:
    """All that the library can do with a provider, but for sending."""
    yield provider.credential
    yield provider.headers
    yield lambda: provider.headers("https://elsewhere.test/?key=" + CANARIES["misplaced"])
    yield provider.state
    yield provider.explain
    yield lambda: provider.explain("https://elsewhere.test/?key=" + CANARIES["misplaced"])
    for library in (keyfob.httpx, keyfob.httpx2):
        yield lambda library=library: library.Client(provider)
        yield lambda library=library: library.AsyncClient(provider)
        yield lambda library=library: library.Auth(provider)


class TestLibrary:
    """From Python."""

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_nothing_shows_of_a_provider(self, world: World, ears: Ears, provider: str) -> None:
        """Of its objects, their errors and their pickles; nor of its host."""
        host = world.host()
        for act in everything(host.provider(provider)):
            ears.look_at(ears.attempt(act))
        ears.look_at((host, host.provider(provider)))
        assert ears.heard() == []

    @pytest.mark.slow
    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_nothing_shows_of_what_is_sent(self, world: World, ears: Ears, provider: str) -> None:
        """Of requests that succeed, are refused, break off, or go elsewhere; with either library, sync and async."""
        host = world.host()
        for library in (keyfob.httpx, keyfob.httpx2):
            for url in REQUESTS:
                ears.attempt(lambda library=library, url=url: fetch(library, host.provider(provider), url))
                ears.attempt(lambda library=library, url=url: anyio.run(afetch, library, host.provider(provider), url))
        assert ears.heard() == []

    @pytest.mark.parametrize("library", [real_httpx, real_httpx2])
    def test_nothing_shows_in_a_client_of_ones_own(self, world: World, ears: Ears, library: Any) -> None:
        """With a bare Auth, also while the library logs all it does."""
        auth = getattr(keyfob, library.__name__).Auth(world.host().provider("env"))
        with library.Client(auth=auth, trust_env=False) as client:
            ears.look_at(ears.attempt(lambda: client.get(f"{world.server.origin}/v1/models")))
            ears.attempt(lambda: client.get(f"{world.server.origin}/v1/refused"))
        assert world.server.received[0].header("authorization") == f"Bearer {CANARIES['environment']}"
        assert ears.heard() == []


def fetch(library: Any, provider: Provider, url: str) -> None:
    """One request; nobody answers those that go elsewhere."""
    with library.Client(provider, follow_redirects=True) as client:
        client.get(url).raise_for_status()


async def afetch(library: Any, provider: Provider, url: str) -> None:
    """The same for an async client."""
    async with library.AsyncClient(provider, follow_redirects=True) as client:
        (await client.get(url)).raise_for_status()


class TestFaults:
    """In configuration that cannot be used."""

    @pytest.mark.parametrize("name", BROKEN)
    def test_a_broken_entry_shows_no_value(self, world: World, ears: Ears, name: str) -> None:
        """Neither in its error nor in a warning."""
        base_url = "" if "base_url" in BROKEN[name] else 'base_url = "{origin}/v1"\n'
        world.configure(world.filled(f"[model_providers.broken]\n{base_url}{BROKEN[name]}"))
        provider = world.host().provider("broken")
        for act in everything(provider):
            ears.look_at(ears.attempt(act))
        ears.look_at(provider)
        world.run("providers")
        world.run("explain", "broken")
        world.run("request", "models", "--provider", "broken")
        assert ears.heard() == []

    @pytest.mark.parametrize("name", DAMAGED)
    def test_a_file_that_cannot_be_read_shows_no_value(self, world: World, ears: Ears, name: str) -> None:
        """A parser's message may repeat the text it stumbled over; ours must not."""
        world.configure(DAMAGED[name].replace(b"%s", CANARIES["misplaced"].encode()))
        for act in everything(world.host().provider("broken")):
            ears.attempt(act)
        world.run("providers")
        world.run("explain", "broken")
        assert ears.heard() == []

    @pytest.mark.parametrize("override", OVERRIDES)
    def test_a_value_of_the_command_line_does_not_show(self, world: World, ears: Ears, override: str) -> None:
        """Whether it can be used or not."""
        override = override.format(**CANARIES)
        host = world.host([override])
        for act in everything(host.provider("env")):
            ears.look_at(ears.attempt(act))
        for command in ("providers", "explain"):
            world.run("-c", override, command)
        assert ears.heard() == []


class TestCommandLine:
    """From a shell."""

    @pytest.mark.slow
    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    def test_nothing_shows_of_a_command(self, world: World, ears: Ears, command: tuple[str, ...]) -> None:
        """Whatever the provider, and also with a trace of each error."""
        for provider in PROVIDERS if "PROVIDER" in command else ("env",):
            arguments = [world.filled(word) if word != "PROVIDER" else provider for word in command]
            world.run(*arguments)
        world.environ["KEYFOB_TRACE"] = "1"
        world.run(*arguments)
        assert ears.heard() == []

    @pytest.mark.parametrize("arguments", [("token", "env"), ("headers", "env", "--reveal")])
    def test_what_shall_print_it_does(self, world: World, ears: Ears, arguments: tuple[str, ...]) -> None:
        """Else the tests above would prove nothing."""
        assert world.run(*arguments) == 0
        assert [said.partition(":")[0] for said in ears.heard()] == ["environment"]

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_a_terminal_is_shown_no_header(self, world: World, ears: Ears, provider: str) -> None:
        """Unless one asks for it."""
        screen = Screen()
        run(("headers", provider), world.environ, lambda: Terminal(out=screen), world.places)
        ears.tell(screen.getvalue())
        assert ears.heard() == []

    @pytest.mark.slow
    def test_nothing_is_kept(self, world: World) -> None:
        """The snapshot holds names and places, no values."""
        for provider in PROVIDERS:
            for command in ("token", "explain"):
                world.run(command, provider)
        planted = {world.home / "config.toml", world.home / ".env"}
        written = [path for folder in (world.home, world.cache) for path in folder.rglob("*") if path.is_file()]
        assert [path.name for path in written if path not in planted and seen_in(path.read_text("latin-1"))] == []


LOGINS = ("chatgpt", "stored")
ABOUT_LOGINS = (
    ("status",),
    ("status", "--json"),
    ("login", "status", "PROVIDER"),
    ("login", "stored"),
    ("login", "PROVIDER", "--with-api-key", "{misplaced}"),
    ("login", "{misplaced}", "--with-api-key"),
    ("login", "--api-key", "{misplaced}"),
    ("login", "--with-api-key={misplaced}"),
    ("logout", "{misplaced}"),
    ("logout", "PROVIDER", "--local"),
    ("logout", "PROVIDER"),
)
# What may stand in the place of a login.
BROKEN_LOGINS = (
    '{{"auth_mode": "chatgpt", "tokens": {{"access_token": "{misplaced}"',
    '["{misplaced}"]',
    '"{misplaced}"',
    '{{"auth_mode": "{misplaced}"}}',
    '{{"auth_mode": ["{misplaced}"], "origin": "{misplaced}", "api_key": ["{misplaced}"]}}',
    '{{"auth_mode": "chatgpt", "tokens": "{misplaced}"}}',
    '{{"auth_mode": "chatgpt", "tokens": {{"id_token": "{misplaced}", "access_token": "x", "refresh_token": "y"}}}}',
    '{{"OPENAI_API_KEY": "one\\n{misplaced}"}}',
    '{{"personal_access_token": "{misplaced}"}}',
    '{{"last_refresh": "{misplaced}", "tokens": {{"id_token": "a.e30.b", "access_token": "x", "refresh_token": "y"}}}}',
)


class SignedIn(World):
    """The same world with a login of each kind."""

    def __init__(self, folder: Path, server: ModelServer) -> None:
        super().__init__(folder, server)
        for name in ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_REVOKE_TOKEN_URL_OVERRIDE", "CODEX_AUTHAPI_BASE_URL"):
            self.environ[name] = f"{server.origin}/issuer"
        self.write("auth.json", self.tokens(expires_in=3600))
        self.write("keyfob/envkey/stored.json", {"origin": server.origin, "api_key": CANARIES["stored-key"]})

    def write(self, name: str, data: object) -> None:
        """A private file of CODEX_HOME: a text as it is, anything else as JSON."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        path.chmod(0o600)

    def tokens(self, expires_in: float) -> object:
        """A ChatGPT login; each JWT has its canary for a signature."""
        named = {name: jwt(exp=time.time() + expires_in).rpartition(".")[0] for name in ("id-token", "access-token")}
        signed = {name.replace("-", "_"): f"{token}.{CANARIES[name]}" for name, token in named.items()}
        return {"auth_mode": "chatgpt", "tokens": {**signed, "refresh_token": CANARIES["refresh-token"]}}


@pytest.fixture
def signed_in(tmp_path: Path) -> Iterator[SignedIn]:
    """A world with logins, whose issuer answers with what it was sent and a canary, in ways that are of no use."""
    said = {"error": {"code": "server_error", "message": CANARIES["misplaced"]}, "x": CANARIES["refresh-token"]}
    answers: dict[str, Any] = {
        "/issuer": [(500, said), (200, f"<html>{CANARIES['misplaced']}</html>"), Answer(close=True), (403, said)],
        "/v1/refused": [401],
    }
    with ModelServer(answers=answers) as server:
        yield SignedIn(tmp_path, server)


class TestLogins:
    """Where logins are stored, renewed and removed."""

    @pytest.mark.slow
    @pytest.mark.parametrize("provider", LOGINS)
    def test_nothing_shows_of_a_login(self, signed_in: SignedIn, ears: Ears, provider: str) -> None:
        """Of its objects and their errors; nor of what is sent with it."""
        host = signed_in.host()
        for act in everything(host.provider(provider)):
            ears.look_at(ears.attempt(act))
        for url in ("models", "refused", "http://127.0.0.1:9/"):
            ears.attempt(lambda url=url: fetch(keyfob.httpx, host.provider(provider), url))
        ears.look_at((host, host.provider(provider), host.provider(provider).login))
        assert signed_in.server.received[0].header("authorization")
        assert ears.heard() == []

    @pytest.mark.slow
    @pytest.mark.parametrize("command", [*COMMANDS, *ABOUT_LOGINS], ids=" ".join)
    def test_nothing_shows_of_a_command(self, signed_in: SignedIn, ears: Ears, command: tuple[str, ...]) -> None:
        """Also of one that signs out while its issuer fails."""
        signed_in.environ["KEYFOB_TRACE"] = "1"
        for provider in LOGINS if "PROVIDER" in command else LOGINS[:1]:
            signed_in.run(*[signed_in.filled(word) if word != "PROVIDER" else provider for word in command])
        assert ears.heard() == []

    @pytest.mark.slow
    @pytest.mark.parametrize("text", BROKEN_LOGINS)
    def test_nothing_shows_of_a_damaged_login(self, signed_in: SignedIn, ears: Ears, text: str) -> None:
        """Whatever is wrong with it."""
        for provider, name in zip(LOGINS, ("auth.json", "keyfob/envkey/stored.json"), strict=True):
            signed_in.write(name, signed_in.filled(text))
            for act in everything(signed_in.host().provider(provider)):
                ears.look_at(ears.attempt(act))
            for command in ("status", "explain", "headers", "logout"):
                signed_in.run(command, provider)
        assert ears.heard() == []

    @pytest.mark.slow
    def test_nothing_shows_of_a_renewal_that_fails(self, signed_in: SignedIn, ears: Ears) -> None:
        """Whatever the issuer answers, and in the journal neither."""
        signed_in.write("auth.json", signed_in.tokens(expires_in=-60))
        for _ in range(4):
            ears.look_at(ears.attempt(signed_in.host().provider("chatgpt").credential))
            for path in signed_in.home.glob("*.journal"):
                ears.tell(path.read_text())
                path.unlink()
        assert signed_in.server.received
        assert ears.heard() == []

    @pytest.mark.slow
    @pytest.mark.parametrize("typed", ["{typed}\n", "one\n{typed}\n", "é{typed}", "at-{typed}"])
    @pytest.mark.parametrize("method", ["--with-api-key", "--with-access-token"])
    def test_nothing_shows_of_what_is_typed(
        self, signed_in: SignedIn, ears: Ears, monkeypatch: pytest.MonkeyPatch, typed: str, method: str
    ) -> None:
        """Stored or refused."""
        for provider in LOGINS:
            text = io.BytesIO(signed_in.filled(typed).encode())
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(text, encoding="utf-8"))
            signed_in.run("login", provider, method)
            for command in ("status", "explain"):
                signed_in.run(command, provider)
        assert ears.heard() == []


class TestEars:
    """The test itself: each way to leak is heard."""

    @pytest.mark.parametrize("leak", [
        print,
        lambda text: os.write(2, text.encode()),
        logging.getLogger("httpcore.http11").debug,
        warnings.warn,
    ])  # fmt: skip
    def test_what_is_said_is_heard(self, ears: Ears, leak: Callable[[str], object]) -> None:
        """Wherever it is said."""
        leak(CANARIES["bearer"])
        assert len(ears.heard()) == 1

    def test_what_is_raised_is_heard(self, ears: Ears) -> None:
        """Also in the cause of an error."""

        def fail() -> None:
            try:
                raise ValueError(CANARIES["bearer"])
            except ValueError as error:
                raise KeyError("x") from error

        ears.attempt(fail)
        assert ears.heard()

    def test_what_an_object_shows_is_heard(self, world: World, ears: Ears) -> None:
        """Also of an object that is an attribute of another."""
        provider = world.host().provider("bearer")
        provider.id = CANARIES["bearer"]
        ears.look_at((provider,))
        assert ears.heard()
