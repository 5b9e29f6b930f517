"""The canary test of signing in: no code, verifier, device code, client secret or token shows, however it ends.

The issuer is scripted, so every secret that it gives is a canary; what keyfob makes itself, its verifier and its state,
is learnt from what it sends. Everything is listened to, see `test_secrets`; and while a sign-in is under way, so is how
every object of keyfob's that lives then shows itself.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import io
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.test_secrets import listening

import keyfob_openai.sign_in
from keyfob import Host
from keyfob.carried import Carried
from keyfob.cli.run import run
from keyfob.cli.terminal import Terminal
from keyfob.config.places import Places
from keyfob.signin import SignedIn, sign_in
from keyfob.testing.issuer import jwt
from keyfob.testing.model_server import Answer, ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.test_secrets import Ears

    from keyfob.credentials.exchange import Answer as Received
    from keyfob.credentials.exchange import Exchange

KINDS = ("code", "device_code", "client_secret", "access", "id", "refresh", "api_key", "polled_verifier")
GIVEN = {kind: f"canary-given-{kind}-5f3c9a" for kind in KINDS}
ALL = " ".join(GIVEN.values())
PATIENCE = 20.0

CONFIG = """
[model_providers.chatgpt]
base_url = "{origin}/v1"
requires_openai_auth = true

[model_providers.sso]
base_url = "{origin}/v1"
[model_providers.sso.oauth]
issuer = "{origin}"
client_id = "me"
client_secret_env = "SSO_SECRET"
token_endpoint_auth_method = "{method}"
scopes = ["openid", "offline_access"]

[model_providers.robot]
base_url = "{origin}/v1"
[model_providers.robot.oauth]
issuer = "{origin}"
client_id = "me"
client_secret_env = "SSO_SECRET"
flow = "client_credentials"
"""
METADATA, DEVICE, TOKEN = "/.well-known/openid-configuration", "/device", "/token"
OPENAIS, USERCODE, POLL = "/oauth/token", "/api/accounts/deviceauth/usercode", "/api/accounts/deviceauth/token"
# Provider and flow.
WAYS = {
    "ChatGPT, browser": ("chatgpt", "browser"),
    "ChatGPT, device": ("chatgpt", "device"),
    "OAuth, browser": ("sso", "browser"),
    "OAuth, device": ("sso", "device"),
    "OAuth, program": ("robot", "client_credentials"),
}
# Way, an endpoint that can fail, and which secrets it is sent.
ENDPOINTS = [
    ("ChatGPT, browser", OPENAIS, ["code"]),
    ("OAuth, browser", TOKEN, ["code", "client_secret"]),
    ("OAuth, device", TOKEN, ["device_code", "client_secret"]),
    *(
        pytest.param(*each, marks=pytest.mark.slow)
        for each in [
            ("ChatGPT, device", USERCODE, []),
            ("ChatGPT, device", POLL, ["device_code"]),
            ("ChatGPT, device", OPENAIS, ["code", "polled_verifier"]),
            ("OAuth, browser", METADATA, []),
            ("OAuth, device", DEVICE, ["client_secret"]),
            ("OAuth, program", TOKEN, ["client_secret"]),
        ]
    ),
]


def token(kind: str, **claims: object) -> str:
    """A JWT with a canary for a signature."""
    return f"{jwt(exp=4_000_000_000, **claims).rpartition('.')[0]}.{GIVEN[kind]}"


def failing(sent: str) -> list[Any]:
    """What an endpoint can answer instead. sent: what it was sent, which some issuers repeat."""
    return [
        (400, {"error": "invalid_grant", "error_description": f"there is no {sent} here"}),
        (401, {"error": {"code": "x", "message": sent}}),
        (400, {"error": sent}),
        (500, f"<html>{ALL}</html>"),
        (200, ALL),
        (200, {"access_token": "", "refresh_token": GIVEN["refresh"]}),
        (200, {"token_type": ALL, "access_token": GIVEN["access"]}),
        (200, {"access_token": f"é\n{GIVEN['access']}"}),
        (200, {"access_token": GIVEN["access"], "id_token": GIVEN["id"]}),
        Answer(302, {"Location": "http://127.0.0.1:9/"}),
        Answer(close=True),
    ]


class Scene:
    """A home, and an issuer where all goes well but for `other`: endpoint → answers. method: how the client shows its
    secret."""

    def __init__(
        self, folder: Path, other: Mapping[str, list[Any]] | None = None, method: str = "client_secret_post"
    ) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.places = Places(str(self.home), system=str(folder / "system"), cache=str(folder / "cache"))
        self._method = method
        self._endpoints: dict[str, str] = {}
        self._tokens = {"access_token": token("access"), "refresh_token": GIVEN["refresh"], "expires_in": 3600}
        codes = {"user_code": "ABCD-EFGH", "verification_uri": "https://issuer.test/", "interval": 0.01}
        granted = {"authorization_code": GIVEN["code"], "code_verifier": GIVEN["polled_verifier"]}
        usual = {
            METADATA: [(200, self._endpoints)],
            DEVICE: [(200, {"device_code": GIVEN["device_code"], **codes})],
            TOKEN: [(200, self._tokens)],
            USERCODE: [(200, {"device_auth_id": GIVEN["device_code"], **codes})],
            POLL: [(200, granted)],
            OPENAIS: [(200, self._tokens), (200, {"access_token": GIVEN["api_key"]})],
        }
        self.server = ModelServer(answers={**usual, **(other or {})})

    def __enter__(self) -> Self:
        origin = self.server.start().origin
        names = ("authorization", "device_authorization", "revocation")
        self._endpoints |= {"issuer": origin, "token_endpoint": f"{origin}{TOKEN}"}
        self._endpoints |= {f"{name}_endpoint": f"{origin}/{name.partition('_')[0]}" for name in names}
        self._tokens["id_token"] = token("id", iss=origin, aud="me")
        (self.home / "keyfob.toml").write_text(CONFIG.format(origin=origin, method=self._method))
        self.environ = {
            "PATH": os.environ["PATH"],
            "KEYFOB_OPENAI_ISSUER": origin,
            "SSO_SECRET": GIVEN["client_secret"],
            "KEYFOB_TRACE": "1",
        }
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def host(self, person: Person) -> Host:
        """A host with that person before it, who may look around with each request to the issuer too."""
        host = Host(self.environ, places=self.places, interaction=person)
        send = host._send

        def watched(exchange: Exchange) -> Received:
            person.look()
            return send(exchange)

        host._send = watched  # type: ignore[method-assign]
        return host

    def sent(self, name: str) -> list[str]:
        """What it received in a field of its forms."""
        return [value for each in self.server.received for value in parse_qs(each.body.decode()).get(name, [])]

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file that there is, but for the stored logins, which hold what they are for."""
        stored = {"auth.json", "sso.json", "robot.json"}
        for folder, _, names in os.walk(self.home.parent):
            for name in sorted(set(names) - stored):
                with open(os.path.join(folder, name), encoding="latin-1") as file:
                    yield name, file.read()


@pytest.fixture
def ears(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Ears]:
    """Ears for what the issuer gives: other tests may have left objects that show a canary of theirs on purpose."""
    with listening(capfd, caplog, GIVEN) as open_ears:
        yield open_ears


@pytest.fixture(autouse=True)
def _any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """ChatGPT's is asked for by whoever signs in on this machine, and so by tests that run beside this one."""
    monkeypatch.setattr(keyfob_openai.sign_in, "_PORTS", (0,))


class Person:
    """Somebody who signs in at once. answers: what the issuer sends the browser back with. pastes: what is pasted
    before that. looks: they look around while the sign-in waits."""

    def __init__(
        self, ears: Ears, *answers: Mapping[str, str], pastes: Sequence[str] = (), looks: bool = False
    ) -> None:
        self._ears = ears
        self._looks = looks
        self._answers = answers or ({"code": GIVEN["code"]},)
        self._pastes = pastes
        self.browser: threading.Thread | None = None

    def say(self, message: str) -> None:
        """Is listened to."""
        self._ears.tell(message)

    show = say

    def secret(self, what: str, whom: str) -> str:
        """Types it."""
        self.say(f"{what} for {whom}")
        return GIVEN["client_secret"]

    def look(self) -> None:
        """Around, if they do that."""
        if self._looks:
            look_around(self._ears)

    def visit(self, url: str, port: int) -> None:
        """The state is in the address, and is to be nowhere else."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self._ears.learn(state=asked["state"])
        self._ears.tell(url.replace(asked["state"], ""))
        self._back = urlsplit(asked["redirect_uri"])
        queries = [urlencode({"state": asked["state"], **answer}) for answer in self._answers]
        self.browser = threading.Thread(target=self._browse, args=[f"{self._back.path}?{query}" for query in queries])

    def wait(self, seconds: float, *, left: float, done: Any = None, typed: Any = None) -> None:
        """For whatever it is, after a look around."""
        self.look()
        if done is not None:
            for line in self._pastes:
                self._ears.tell(str(typed(line.format(back=self._back.geturl()))))
            assert self.browser is not None
            self.browser.start()
            assert done.wait(PATIENCE)

    def _browse(self, *targets: str) -> None:
        """Go there, one after the other, and where each leads; but for those themselves all is listened to."""
        for target in targets:
            self._follow(target)

    def _follow(self, target: str) -> None:
        while target:
            where = (self._back.hostname or "", self._back.port)
            with contextlib.closing(http.client.HTTPConnection(*where, timeout=PATIENCE)) as connection:
                connection.request("GET", target)
                answer = connection.getresponse()
                self._ears.tell(f"{answer.status} {answer.getheaders()} {answer.read().decode()}")
            target = answer.getheader("Location") or ""


def look_around(ears: Ears) -> None:
    """How each object of keyfob's shows itself, whoever holds it; those of the scripted issuer are not keyfob's."""
    for each in gc.get_objects():
        module = str(type(each).__module__)
        if module.startswith("keyfob") and not module.startswith("keyfob.testing"):
            with contextlib.suppress(Exception):  # one that is half made shows nothing
                ears.tell(f"{each!r} {each!s}")


def attempt(scene: Scene, ears: Ears, way: str, person: Person) -> object:
    """Sign in, and listen to all that comes of it: also of what keyfob made up itself."""
    provider, flow = WAYS[way]
    chosen = scene.host(person).provider(provider)
    came = ears.attempt(lambda: sign_in(chosen, flow))
    if person.browser is not None and person.browser.ident is not None:
        person.browser.join(PATIENCE)
    ears.learn(**{f"verifier {number}": each for number, each in enumerate(scene.sent("code_verifier"))})
    for name, text in scene.files():
        ears.tell(f"{name} {text}")
    return came


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_nothing_shows_of_a_sign_in(tmp_path: Path, ears: Ears, way: str) -> None:
    """Of its objects, its logs, its pages and their addresses, and of each file but the one that keeps the login."""
    with Scene(tmp_path) as scene:
        came = attempt(scene, ears, way, Person(ears, looks=True))
        ears.look_at(came)
        look_around(ears)
    assert isinstance(came, SignedIn), came
    assert ears.heard() == []
    assert any(GIVEN["access"] in path.read_text() for path in scene.home.rglob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize(("way", "endpoint", "sent"), ENDPOINTS)
def test_nothing_shows_of_one_that_fails(tmp_path: Path, ears: Ears, way: str, endpoint: str, sent: list[str]) -> None:
    """Whatever the issuer answers, and wherever; however the client shows its secret."""
    for number, answer in enumerate(failing(" ".join(GIVEN[kind] for kind in sent))):
        folder = tmp_path / str(number)
        folder.mkdir()
        method = ("client_secret_post", "client_secret_basic")[number % 2]
        with Scene(folder, {endpoint: [answer]}, method) as scene:
            attempt(scene, ears, way, Person(ears))
    assert ears.heard() == []


# What the browser brings before the answer that counts, and what is pasted; none of it is of this sign-in.
ASTRAY = ({"state": "another", "code": GIVEN["code"]}, {"state": "", "code": GIVEN["code"]})
PASTED = [
    f"{{back}}?state=another&code={GIVEN['code']}",
    f"{{back}}?code={GIVEN['code']}%ff",
    f"https://elsewhere.test/?code={GIVEN['code']}",
    GIVEN["code"],
]
ANSWERS = {
    "good": {"code": GIVEN["code"]},
    "denied": {"error": "access_denied", "code": GIVEN["code"]},
    "failed": {"error": "server_error", "error_description": "<b>no</b>", "code": GIVEN["code"]},
    "empty": {"code": ""},
    "another issuer's": {"code": GIVEN["code"], "iss": f"https://elsewhere.test/{GIVEN['code']}"},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_nothing_shows_of_what_comes_back(tmp_path: Path, ears: Ears, name: str) -> None:
    """Through the browser or pasted, from this sign-in or another: neither on pages, in answers nor in errors."""
    with Scene(tmp_path) as scene:
        came = attempt(scene, ears, "OAuth, browser", Person(ears, *ASTRAY, ANSWERS[name], pastes=PASTED))
    assert isinstance(came, SignedIn) == (name == "good")
    assert ears.heard() == []


# From a shell

BROWSER = """
import json, os, sys, urllib.request
from urllib.parse import parse_qs, urlsplit

folder = os.path.dirname(os.path.abspath(__file__))
asked = parse_qs(urlsplit(sys.argv[1]).query)
with open(f"{folder}/code") as file:
    back = f"{asked['redirect_uri'][0]}?state={asked['state'][0]}&code={file.read()}"
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(back, timeout=20) as page:
    seen = [page.geturl(), str(page.headers), page.read().decode()]
with open(f"/proc/{os.getppid()}/cmdline") as file:
    about = [sys.argv, dict(os.environ), file.read(), seen]
with open(f"{folder}/seen.new", "w") as file:
    json.dump(about, file)
os.rename(f"{folder}/seen.new", f"{folder}/seen")
"""


@pytest.mark.slow
def test_nothing_shows_of_the_browsers_process(tmp_path: Path, ears: Ears) -> None:
    """Neither in its arguments nor in its environment, which everybody on the machine, or the user, can read."""
    (tmp_path / "browser.py").write_text(BROWSER)
    (tmp_path / "code").write_text(GIVEN["code"])
    with Scene(tmp_path) as scene:
        browser = f"{sys.executable} {tmp_path}/browser.py %s"
        more = {"CODEX_HOME": str(scene.home), "HOME": str(tmp_path), "DISPLAY": ":9", "BROWSER": browser}
        script = os.path.join(os.path.dirname(sys.executable), "keyfob")
        done = subprocess.run([script, "login", "sso"], env=scene.environ | more, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        ears.learn(verifier=scene.sent("code_verifier")[0])
    assert done.returncode == 0, done.stderr
    argv, environ, parents, seen = json.loads((tmp_path / "seen").read_text())
    for text in (argv, {name: value for name, value in environ.items() if name != "SSO_SECRET"}, parents, seen):
        ears.tell(json.dumps(text))
    ears.tell(done.stdout + done.stderr)
    assert ears.heard() == []


COMMANDS = [
    ("login", "sso", "--device-auth", "--revoke-old"),
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in [("login", "chatgpt", "--device-auth"), ("login", "robot"), ("check", "robot")]
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nothing_shows_of_a_command(tmp_path: Path, ears: Ears, arguments: tuple[str, ...]) -> None:
    """Of one that signs in, and then tells of it and signs out; nor of one that fails, with a trace of its error."""
    failing = {OPENAIS: [(400, {"error": GIVEN["code"]})], TOKEN: [(400, {"error": GIVEN["client_secret"]})]}
    for number, other in enumerate([{}, failing]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Scene(folder, other) as scene:
            for command in (arguments, ("status",), ("doctor",), ("explain", arguments[1]), ("logout", arguments[1])):
                run(command, scene.environ, places=scene.places)
    assert ears.heard() == []


TOOK = "import json, os, sys; sys.stdin.read(); print(json.dumps([sys.argv, dict(os.environ)]), file=sys.stderr)"


@pytest.mark.slow
@pytest.mark.parametrize(("way", "provider", "printed"), [
    ("ChatGPT, browser", "chatgpt", {"access", "id"}),
    ("OAuth, browser", "sso", {"access"}),
])  # fmt: skip
def test_nothing_shows_of_what_is_carried(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch, way: str, provider: str, printed: set[str]
) -> None:
    """An export prints what can be used, and nothing that renews it; whatever else is said, by either side, is none."""
    with Scene(tmp_path) as scene:
        attempt(scene, ears, way, Person(ears))
        scene.environ = {name: value for name, value in scene.environ.items() if name != "SSO_SECRET"}
        out, err = io.StringIO(), io.StringIO()
        assert run(("login", "export", provider), scene.environ, lambda: Terminal(out, err), scene.places) == 0
        document = out.getvalue().encode()
        ears.tell(err.getvalue())
        ears.look_at((Carried.parsed(document), ears.attempt(lambda: Carried.parsed(document[:-9]))))
        moving = ("login", "export", provider, "--move", "--", sys.executable, "-c", TOOK)
        assert run(moving, scene.environ, places=scene.places) == 1
        for text in (document, document.replace(b"made_with", b"x").replace(b"id_token", b"x")):
            for more in ((), ("--replace",)):
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
                run(("login", "import", *more), scene.environ, places=scene.places)
    assert {kind for kind in GIVEN if GIVEN[kind] in out.getvalue()} == printed
    assert ears.heard() == []
