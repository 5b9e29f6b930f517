"""Sign-ins at a certified OAuth server: scripts/record records them, tests/test_sign_in_cassettes.py replays them.

A cassette holds no secret: each token, code, verifier and client secret is replaced by its name, wherever it stands and
before a request is compared. So a replay demands that what the server gave is what comes back to it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import vcr
from vcr.patch import PATCHER_NAMES

from keyfob import Host
from keyfob.config.places import Places
from keyfob.credentials.ending import sign_out
from keyfob.errors import RefusedError
from keyfob.signin import sign_in
from keyfob.testing import Person
from keyfob.testing.issuer import jwt

if TYPE_CHECKING:
    from collections.abc import Callable

    from vcr.request import Request

    from keyfob import Provider

CASSETTES: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sign_in_cassettes")
NOWHERE: Final = "http://127.0.0.1:9"
SECRET: Final = "recorded-secret"
NATIVE, SERVICE = "native-app", "service-basic"

_CODE, _PORT = "recorded-code", re.compile(r"127\.0\.0\.1:\d+")
_CONFIG: Final = """
[model_providers.corp]
base_url = "http://127.0.0.1:8/v1"
[model_providers.corp.oauth]
issuer = "{issuer}"
client_id = "{client_id}"
{rest}
"""
_PEOPLE: Final = 'scopes = ["openid", "offline_access", "email", "api"]'
_PROGRAM: Final = 'flow = "client_credentials"\nclient_secret_env = "CORP_SECRET"\nscopes = ["api"]'


def replaying() -> Person:
    """Whoever the recorded server let in, at once."""

    def browse(address: str) -> str:
        asked = dict(parse_qsl(urlsplit(address).query))
        return f"{asked['redirect_uri']}?{urlencode({'code': _CODE, 'state': asked['state'], 'iss': NOWHERE})}"

    return Person(goes=browse)


class Clock:
    """Seconds since the epoch, as they are set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


class Scene:
    """One provider, `corp`, with the server at `issuer`, and somebody who signs in."""

    def __init__(self, folder: str, issuer: str, person: Person, secret: str = SECRET, *, program: bool) -> None:
        with open(os.path.join(folder, "keyfob.toml"), "w", encoding="utf-8") as file:
            client_id, rest = (SERVICE, _PROGRAM) if program else (NATIVE, _PEOPLE)
            file.write(_CONFIG.format(issuer=issuer, client_id=client_id, rest=rest))
        self._places = Places(folder, system=os.path.join(folder, "system"), cache=os.path.join(folder, "cache"))
        self._secret, self._person = secret, person
        self.clock = Clock()
        self.start()

    def start(self) -> None:
        """As a new process does: it knows nothing but what is stored."""
        environ = {"CORP_SECRET": self._secret}
        host = Host(environ, places=self._places, clock=self.clock, interaction=self._person)
        self.provider: Provider = host.provider("corp")

    def token(self) -> str | None:
        """What a request is sent with now."""
        return self.provider.credential().token

    def sign_out(self) -> tuple[str, ...]:
        """Sign out; why the login may still be valid."""
        login = self.provider.login
        assert login is not None
        return sign_out(login, [login.store]).still_valid


# The sign-ins: each returns what came of it.


def browser(scene: Scene) -> object:
    """In the browser, a renewal, and the old refresh token once more, by which the server ends the login."""
    account = sign_in(scene.provider, "browser").record.account
    login = scene.provider.login
    assert login is not None
    old = login.store.read()
    first = scene.token()
    scene.clock.now += 7200
    second = scene.token()
    assert old is not None
    with login.store.lock(), login.store.writing():
        login.store.replace(old)
    scene.start()
    try:
        scene.provider.source.get()
    except RefusedError as error:
        return account, first != second, "invalid_grant" in str(error)
    return account, first != second, False


def device(scene: Scene) -> object:
    """With a code that is entered after the first question, and signing out."""
    account = sign_in(scene.provider, "device").record.account
    return account, scene.token() is not None, scene.sign_out()


def program(scene: Scene) -> object:
    """By a program, whose next token is another."""
    sign_in(scene.provider, "client_credentials")
    first = scene.token()
    scene.clock.now += 7200
    return first != scene.token()


# Sign-in, whether it is a program's, and what comes of it.
SIGN_INS: Final[list[tuple[Callable[[Scene], object], bool, object]]] = [
    (browser, False, ("ada", True, True)),
    (device, False, ("ada", True, ())),
    (program, True, True),
]


# Recording without secrets

_RIGHT: Final = "(client secret)"
# Only httpx, with which keyfob asks. The person's thread uses urllib, and vcrpy takes all its patches away for a moment
# when a connection of http.client is made: what keyfob sends just then would go to the network.
_PERSONS: Final = [name for name in PATCHER_NAMES if name != "httpx"]


def recorder(issuer: str = NOWHERE, secret: str = SECRET, *, mode: str = "none") -> vcr.VCR:
    """What records ("all") the server at `issuer`, or replays ("none")."""
    names: dict[str, str] = {}
    basic = base64.b64encode(f"{SERVICE}:{quote_plus(secret)}".encode()).decode()

    def clean_request(request: Request) -> Request:
        request.uri = request.uri.replace(issuer, NOWHERE)
        fields = parse_qsl((request.body or b"").decode())
        request.body = urlencode([(name, _named(name, value, names)) for name, value in fields]).encode()
        right = request.headers.get("authorization") in (f"Basic {basic}", _RIGHT)  # a request may pass here twice
        request.headers = {
            "authorization": _RIGHT if right else "(none)",
            "content-type": request.headers.get("content-type", ""),
        }
        return request

    def clean_answer(answer: dict[str, Any]) -> dict[str, Any]:
        answer["headers"] = {"content-type": ["application/json"]}
        document = json.loads(answer["body"]["string"] or b"{}")
        clean = {name: _named(name, value, names) for name, value in document.items()}
        answer["body"]["string"] = json.dumps(clean).replace(issuer, NOWHERE).encode()
        return answer

    return vcr.VCR(
        cassette_library_dir=CASSETTES,
        record_mode=mode,
        skip_patchers=_PERSONS,
        match_on=["method", "uri", "headers", "body"],
        before_record_request=clean_request,
        before_record_response=clean_answer,
    )


_TOKENS: Final = {"access_token", "refresh_token", "device_code"}
_FIXED: Final = {"code": _CODE, "code_verifier": "recorded-verifier", "user_code": "RCRD-CODE"}


def _named(field: str, value: Any, names: dict[str, str]) -> Any:
    """What stands in the cassette for a field: the same name for the same secret, wherever it stands."""
    if not isinstance(value, str):
        return value
    if field == "id_token":
        return _unsigned(value)
    if field in _TOKENS:
        return names.setdefault(value, value if value.startswith("recorded-") else f"recorded-{field}-{len(names)}")
    if field == "redirect_uri":
        return _PORT.sub("127.0.0.1:PORT", value)
    if field == "verification_uri_complete":
        return value.split("?")[0]
    return names.get(value, _FIXED.get(field, value))


def _unsigned(token: str) -> str:
    """The claims of an id token; of its signature and of what is derived from the tokens nothing."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    kept = {name: claims[name] for name in ("sub", "email", "aud", "exp", "iat") if name in claims}
    return jwt(iss=NOWHERE, **kept)
