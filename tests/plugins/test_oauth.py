"""oauth: the table, signing in, what is stored, and when that is used no more. The issuer is a scripted one."""

from __future__ import annotations

import io
import json
import threading
import time
import urllib.request
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from keyfob import Host
from keyfob.carrying import move
from keyfob.cli.run import run
from keyfob.credentials.ending import sign_out
from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.errors import (
    ConfigError,
    DamagedLoginError,
    DisabledFlowError,
    MissingCredentialError,
    NotSignedInError,
    OtherOriginError,
    PolicyError,
    RefusedError,
    RenewalError,
    RoutingError,
    SignInError,
    StoreError,
)
from keyfob.plugin import Answer, Event
from keyfob.signin import sign_in
from keyfob.standing import standing
from keyfob.stores.file import FileStore
from keyfob.testing.answers import Answer as Document
from keyfob.testing.issuer import jwt
from keyfob.testing.model_server import ModelServer
from keyfob_oauth.login import made_with

ISSUER = "https://sso.test"
TOKEN, REVOKE, METADATA = f"{ISSUER}/token", f"{ISSUER}/revoke", f"{ISSUER}/.well-known/openid-configuration"
NOW = 1_800_000_000.0
LIFE = 36_000
PEOPLE = f"""
issuer = "{ISSUER}"
client_id = "keyfob"
scopes = ["openid", "offline_access"]
"""
ENDPOINTS = f'token_endpoint = "{TOKEN}"\ndevice_authorization_endpoint = "{ISSUER}/device"'
PROGRAM = f"""
issuer = "{ISSUER}"
client_id = "robot"
scopes = ["api"]
flow = "client_credentials"
client_secret_env = "CORP_SECRET"
"""


class Issuer:
    """What `Context.send` reaches: metadata, and tokens that count up. answers: given first, by URL, in order."""

    def __init__(self):
        self.metadata = {
            "issuer": ISSUER,
            "token_endpoint": TOKEN,
            "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
            "device_authorization_endpoint": f"{ISSUER}/device",
            "revocation_endpoint": REVOKE,
        }
        self.asked = []
        self.answers = {}
        self.count = 0
        self.fields = {}
        self.retry_after = None

    def send(self, exchange):
        fields = dict(parse_qsl(exchange.body.decode()))
        self.asked.append((exchange.url, fields, exchange.headers.get("Authorization")))
        planned = self.answers.get(exchange.url)
        found = planned.pop(0) if planned else self._usual(exchange.url)
        if isinstance(found, Exception):
            raise found
        status, document = found
        return Answer(status, json.dumps(document).encode(), retry_after=self.retry_after)

    def _usual(self, url):
        if url == METADATA:
            return 200, self.metadata
        if url != TOKEN:
            return 200, {}
        self.count += 1
        new = {"access_token": f"AT{self.count}", "refresh_token": f"RT{self.count}", "token_type": "bearer"}
        told = {**new, "expires_in": LIFE, **self.fields}
        return 200, {name: value for name, value in told.items() if value is not None}

    def requests(self, url):
        return [fields for asked, fields, _ in self.asked if asked == url]


class Person:
    """Signs in at once, and hears everything. back: further fields of the answer to the browser."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.said, self.shown, self.typed = [], [], []
        self.back = {}

    def say(self, message):
        self.said.append(message)

    def show(self, line):
        self.shown.append(line)

    def visit(self, url, port):
        self.address = dict(parse_qsl(urlsplit(url).query))
        query = urlencode({"code": "the-code", "state": self.address["state"], **self.back})
        threading.Thread(target=_get, args=(f"{self.address['redirect_uri']}?{query}",), daemon=True).start()

    def secret(self, what, whom):
        self.typed.append(f"{what} for {whom}")
        return "typed-secret"

    def wait(self, seconds, *, left, done=None, typed=None):
        if done is not None:
            assert done.wait(30)


def _get(address):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=30) as answer:
        answer.read()


class Corp:
    """The provider `corp` of a CODEX_HOME, and its issuer."""

    def __init__(self, home):
        self.home = home
        self.issuer = Issuer()
        self.person = Person(self.issuer)
        self.now = NOW
        self.write(PEOPLE)

    def write(self, table, entry="", base_url="https://llm.test/v1"):
        self.path = self.home.write(
            f'[model_providers.corp]\nbase_url = "{base_url}"\n{entry}\n[model_providers.corp.oauth]\n{table}',
            "keyfob.toml",
        )

    def provider(self, **options):
        host = self.home.host(clock=lambda: self.now, interaction=self.person, **options)
        host._send = self.issuer.send
        provider = host.provider("corp")
        if provider.login is not None and provider.login.renewal is not None:
            provider.login.renewal._sleep = lambda _: None  # for a second look at what another program may have done
        return provider

    def sign_in(self, flow=None):
        provider = self.provider()
        return sign_in(provider, flow or provider.login.flows[0])

    def token(self):
        return self.provider().credential().token

    @property
    def file(self):
        return self.home.folder / "keyfob" / "oauth" / "corp.json"

    @property
    def stored(self):
        return json.loads(self.file.read_text())


@pytest.fixture
def corp(home):
    """The provider, for a person in the browser."""
    return Corp(home)


@pytest.fixture
def program(corp):
    """The same for a program whose secret is in the environment."""
    corp.write(PROGRAM)
    corp.home.environ["CORP_SECRET"] = "env-secret"
    return corp


# The table


@pytest.mark.parametrize(
    ("line", "key", "part"),
    [
        ('issuer = "http://sso.test"', "issuer", "is not https"),
        ('issuer = "https://sso.test/?a=1"', "issuer", "must not hold a query"),
        ('issuer = "https://sso.test/#a"', "issuer", "holds a fragment"),
        ('issuer = "https://me:pw-canary@sso.test"', "issuer", "user name"),
        ('token_endpoint = "ftp://sso.test"', "token_endpoint", "is not https"),
        ('token_endpoint = "https://sso.test:x"', "token_endpoint", "is not a URL"),
        ('token_endpoint = "https://sso.test/t"', "token_endpoint", "authorization_endpoint"),
        ('flow = "implicit"', "flow", "client_credentials"),
        ('scopes = "openid"', "scopes", "expected an array"),
        ('scopes = ["a b"]', "scopes.0", "one scope"),
        ('client_secret = "sk-canary"', "client_secret", "client_secret_env"),
        ('client_secret_env = "sk-canary"', "client_secret_env", "name of an environment variable"),
        ('client_secret_env = "A"\ntoken_endpoint_auth_method = "none"', "client_secret_env", "contradicts"),
        (
            'flow = "client_credentials"\ntoken_endpoint_auth_method = "none"',
            "token_endpoint_auth_method",
            "with a secret",
        ),
        ('header = "Content-Length"', "header", "the request itself needs"),
        ('header = "X Key"', "header", "not the name of an HTTP header"),
        ('scheme = "Bearer "', "scheme", "not the name of an authentication scheme"),
        ('redirect_uri = "http://sso.test/callback"', "redirect_uri", "127.0.0.1"),
        ('redirect_uri = "http://127.0.0.1:8765"', "redirect_uri", "needs a path"),
        ('redirect_uri = "http://127.0.0.1.evil.test/callback"', "redirect_uri", "127.0.0.1"),
        ('redirect_uri = "http://127.0.0.1:x/callback"', "redirect_uri", "is not a URL"),
        ('redirect_uri = "http://localhost@evil.test/callback"', "redirect_uri", "127.0.0.1"),
        ('resource = "llm"', "resource", "absolute URI"),
        ('authorization_parameters = { state = "x" }', "authorization_parameters", "keyfob itself sets"),
        ('client_idd = "x"', "client_idd", "did you mean `client_id`"),
    ],
)
def test_a_fault_of_the_table_is_told_with_its_place(corp, line, key, part):
    """File, line and key; what was written is not repeated."""
    given = PEOPLE if not line.startswith("issuer") else 'client_id = "keyfob"\n'
    if line.startswith("scopes"):
        given = given.replace('scopes = ["openid", "offline_access"]\n', "")
    corp.write(f"{given.strip()}\n{line}")
    with pytest.raises(ConfigError) as caught:
        corp.provider().login  # noqa: B018  # reading it is what raises
    (fault,) = caught.value.faults
    assert (fault.path, fault.key) == (corp.path, f"oauth.{key}")
    assert fault.line >= 4
    assert part in str(fault)
    assert "canary" not in str(fault)


def test_either_an_issuer_or_a_token_endpoint_is_needed(corp):
    """The first is what one writes."""
    corp.write('client_id = "keyfob"')
    with pytest.raises(ConfigError, match=r"keyfob\.toml:4: .*oauth\.issuer: is missing \(write issuer = "):
        corp.provider().login  # noqa: B018


@pytest.mark.parametrize(
    ("entry", "error"), [('env_key = "A"', "`env_key`.*→ envkey, `oauth`.*→ oauth"), ("", "a table")]
)
def test_another_key_that_authenticates_is_an_error(corp, entry, error):
    """Two claims, or a value that is no table."""
    corp.write(PEOPLE, entry)
    if not entry:
        corp.home.write('[model_providers.corp]\nbase_url = "https://llm.test/v1"\noauth = "yes"', "keyfob.toml")
    with pytest.raises(RoutingError, match=error):
        corp.provider().route  # noqa: B018


def test_codexs_half_stands_beside_it(corp):
    """`auth` with keyfob as its command, in config.toml."""
    corp.home.write('[model_providers.corp.auth]\ncommand = "keyfob"\nargs = ["token", "corp"]')
    assert corp.provider().route.plugin == "oauth"


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ("", "Authorization", "Bearer AT1"),
        ('header = "X-Api-Token"', "X-Api-Token", "AT1"),
        ('header = "X-Api-Token"\nscheme = "Token"', "X-Api-Token", "Token AT1"),
        ('scheme = ""', "Authorization", "AT1"),
    ],
)
def test_the_header_is_the_one_that_is_configured(corp, lines, name, value):
    """Bearer in Authorization, else nothing before the token, unless that is said; the entry's own gives way."""
    corp.write(PEOPLE + lines, f'http_headers = {{ "{name}" = "other" }}')
    assert corp.provider().state().headers == (name,)
    corp.sign_in()
    assert corp.provider().state().headers == (name,)
    assert dict(corp.provider().headers().items())[name] == value


# Signing in


def test_in_the_browser(corp):
    """A code with PKCE; what is stored is what the login needs, and no more."""
    corp.issuer.fields["id_token"] = jwt(iss=ISSUER, aud=["keyfob"], sub="u-1", email="ada@corp.test")
    corp.write(
        PEOPLE + 'audience = "llm"\nresource = "https://llm.test"\nauthorization_parameters = { prompt = "consent" }'
    )
    record = corp.sign_in().record
    asked, (request,) = corp.person.address, corp.issuer.requests(TOKEN)
    assert asked.items() >= {
        "tenant": "1", "client_id": "keyfob", "scope": "openid offline_access", "audience": "llm",
        "resource": "https://llm.test", "prompt": "consent", "code_challenge_method": "S256",
    }.items()  # fmt: skip
    assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"
    assert request.keys() == {
        "grant_type", "client_id", "code", "redirect_uri", "code_verifier", "resource",
    }  # fmt: skip
    assert (record.account, corp.stored["email"], corp.stored["expires_at"]) == ("u-1", "ada@corp.test", NOW + LIFE)
    assert corp.token() == "AT1"
    about = corp.provider().login.records.about(record)
    assert (about.method, about.email, about.account, about.controls) == (
        "OAuth",
        "ada@corp.test",
        "u-1",
        f"those of {ISSUER}",
    )
    assert corp.issuer.requests(METADATA) == [{}]


def test_the_redirect_uri_is_the_one_that_is_registered(corp):
    """Host and path to the letter; the port too, where there is one."""
    corp.write(PEOPLE + 'redirect_uri = "http://localhost/back/here"')
    corp.sign_in()
    found = urlsplit(corp.person.address["redirect_uri"])
    assert (found.hostname, found.path, found.port != 0) == ("localhost", "/back/here", True)


def test_with_written_endpoints_nothing_is_discovered(corp):
    """The issuer, if there is one, is whose answer is awaited."""
    corp.write(f'client_id = "keyfob"\nauthorization_endpoint = "{ISSUER}/a"\ntoken_endpoint = "{TOKEN}"')
    corp.sign_in()
    assert [url for url, *_ in corp.issuer.asked] == [TOKEN]
    assert corp.provider().login.flows == ("browser",)


@pytest.mark.parametrize("back", [{}, {"iss": "https://evil.test"}])
def test_whose_answer_it_is_is_seen_to(corp, back):
    """Where the metadata announce it, the answer has to name the issuer (RFC 9207)."""
    corp.issuer.metadata["authorization_response_iss_parameter_supported"] = True
    corp.person.back = back
    with pytest.raises(SignInError):
        corp.sign_in()
    assert not corp.issuer.requests(TOKEN)
    assert not corp.file.exists()


@pytest.mark.parametrize(
    ("id_token", "part"),
    [
        (jwt(iss="https://evil.test", aud="keyfob", sub="canary"), "is not of https://sso.test"),
        (jwt(iss=ISSUER, aud="other", sub="canary"), "for another client"),
        ("canary", "not a JWT"),
        (5, "not a JWT"),
    ],
)
def test_an_id_token_of_somebody_else_is_refused(corp, id_token, part):
    """Nothing is stored, and nothing of it is shown."""
    corp.issuer.fields["id_token"] = id_token
    with pytest.raises(SignInError, match=part) as caught:
        corp.sign_in()
    assert "canary" not in str(caught.value)
    assert not corp.file.exists()


def test_with_a_code(corp):
    """The device flow, beside the browser wherever the server may have it."""
    code = {"device_code": "D", "user_code": "ABCD", "verification_uri": "https://sso.test/go", "expires_in": 600}
    corp.issuer.answers[f"{ISSUER}/device"] = [(200, code)]
    corp.issuer.answers[TOKEN] = [(400, {"error": "authorization_pending"})]
    assert corp.sign_in("device").record.token == "AT1"
    assert corp.person.shown == ["https://sso.test/go", "ABCD"]
    assert corp.issuer.requests(f"{ISSUER}/device") == [{"client_id": "keyfob", "scope": "openid offline_access"}]


@pytest.mark.parametrize("flow", ["browser", "device"])
def test_a_way_that_the_server_does_not_have_is_said(corp, flow):
    """With what its metadata lack."""
    lacking = {"browser": "authorization_endpoint", "device": "device_authorization_endpoint"}[flow]
    del corp.issuer.metadata[lacking]
    with pytest.raises(DisabledFlowError, match=f"https://sso.test names no {lacking}"):
        corp.sign_in(flow)


KEY_OF_FLOW = "look at model_providers.corp.oauth.flow"


@pytest.mark.parametrize(
    ("configured", "arguments", "lacking", "hint"),
    [
        ("browser", [], ["authorization_endpoint"], "keyfob login corp --device-auth"),
        ("browser", ["--device-auth"], ["device_authorization_endpoint"], "keyfob login corp"),
        ("browser", [], ["authorization_endpoint", "device_authorization_endpoint"], KEY_OF_FLOW),
        ("browser", ["--device-auth"], ["authorization_endpoint", "device_authorization_endpoint"], KEY_OF_FLOW),
        ("device", [], ["device_authorization_endpoint"], KEY_OF_FLOW),
    ],
)
def test_where_a_server_lacks_a_way_nobody_is_sent_the_same_way_again(
    home, monkeypatch, capsys, configured, arguments, lacking, hint
):
    """The hint is the other way, if one can go that; else the key that decides on it."""
    metadata = {}
    monkeypatch.setattr("sys.stdin", None)
    with ModelServer(answers={"/.well-known/openid-configuration": [Document(body=metadata)]}) as server:
        names = ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint")
        metadata |= {"issuer": server.origin, **{name: f"{server.origin}/{name}" for name in names}}
        for name in lacking:
            del metadata[name]
        table = f'issuer = "{server.origin}"\nclient_id = "keyfob"\nflow = "{configured}"'
        home.write(
            f'[model_providers.corp]\nbase_url = "https://llm.test/v1"\n[model_providers.corp.oauth]\n{table}',
            "keyfob.toml",
        )
        assert run(["login", "corp", *arguments], home.environ, places=home.places) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"  → {hint}"


@pytest.mark.parametrize("none", [None, " ", ["RT"]])
def test_what_was_asked_for_and_not_given_is_told(corp, none):
    """No refresh token, and less than all scopes; the login is stored and used until it expires."""
    corp.issuer.fields |= {"scope": ""}
    corp.sign_in()
    assert not any("left out" in said for said in corp.person.said)  # OpenID's own show by what came
    corp.write(PEOPLE.replace(', "offline_access"', ', "api"'))
    corp.issuer.fields |= {"refresh_token": none}
    corp.sign_in()
    assert "no refresh token came with it: many issuers want the scope offline_access" in corp.person.said[-2]
    assert "left out api" in corp.person.said[-1]
    assert corp.token() == "AT2"
    corp.now += LIFE
    with pytest.raises(NotSignedInError, match="has expired and cannot be renewed") as caught:
        corp.token()
    assert caught.value.hint == "keyfob login corp"


def test_a_program_is_told_of_its_scopes_only_where_somebody_is(program):
    """By itself it signs in all the same."""
    program.issuer.fields["scope"] = "other"
    program.sign_in()
    assert program.person.said == ["the issuer did not grant all that was asked for: it left out api"]
    program.file.unlink()
    host = program.home.host(clock=lambda: NOW)
    host._send = program.issuer.send
    assert host.provider("corp").credential().token == "AT2"


@pytest.mark.parametrize(
    ("expires_in", "expires_at"),
    [(60, NOW + 60), ("60", NOW + 60), (None, None), ("soon", None), (True, None), (-1, None)],
)
def test_how_long_it_lives_may_be_said_in_any_way(corp, expires_in, expires_at):
    """As a number or as text; what is neither says nothing."""
    corp.issuer.fields["expires_in"] = expires_in
    assert corp.sign_in().record.expires_at == expires_at


@pytest.mark.parametrize("table", [PEOPLE, PROGRAM])
def test_a_rule_on_what_goes_to_openai_holds_for_it_too(corp, table):
    """Nobody is sent anywhere, and nothing is stored; at another origin it is nobody's business."""
    corp.home.environ["CORP_SECRET"] = "env-secret"
    corp.home.write('forced_login_method = "chatgpt"')
    corp.write(table)
    corp.sign_in()
    corp.file.unlink()
    corp.issuer.asked.clear()
    corp.write(table, base_url="https://api.openai.com/v1")
    with pytest.raises(PolicyError, match="forced_login_method"):
        corp.sign_in()
    assert corp.issuer.asked == []
    for _ in range(2):
        with pytest.raises((PolicyError, NotSignedInError)):
            corp.token()
    assert corp.issuer.asked == []
    assert not corp.file.exists()


# A client with a secret


@pytest.mark.parametrize(
    ("methods", "line", "posted"),
    [
        (None, "", False),
        (["client_secret_post", "client_secret_basic"], "", False),
        (["client_secret_post"], "", True),
        (None, 'token_endpoint_auth_method = "client_secret_post"', True),
    ],
)
def test_the_client_authenticates_as_the_server_takes_it(program, methods, line, posted):
    """In the header, unless the server, or the table, says otherwise; never in both."""
    program.issuer.metadata["token_endpoint_auth_methods_supported"] = methods
    program.write(PROGRAM + line)
    assert program.token() == "AT1"
    ((_, fields, header),) = [asked for asked in program.issuer.asked if asked[0] == TOKEN]
    assert fields.get("client_secret") == ("env-secret" if posted else None)
    assert (header is None) is posted
    assert fields["scope"] == "api"


def test_a_server_that_takes_no_secret_is_told_of(program):
    """With what it wants."""
    program.issuer.metadata["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    with pytest.raises(SignInError, match="takes no client secret: it wants private_key_jwt"):
        program.token()


def test_a_program_signs_in_by_itself_once(program):
    """Where nothing is stored; only using it does that, and the secret of the environment is not stored."""
    provider = program.provider()
    assert (provider.state().ready, provider.state().summary) == (True, "signs in by itself")
    assert provider.explain().state == "signs in by itself"
    assert program.issuer.asked == []
    assert [program.token(), program.token()] == ["AT1", "AT1"]
    assert "env-secret" not in program.file.read_text()
    assert "RT1" not in program.file.read_text()
    assert provider.login.records.about(provider.login.stored()).account == "robot"


def test_it_does_so_where_nothing_is_kept(program):
    """In memory, once for the process."""
    program.home.write('cli_auth_credentials_store = "ephemeral"')
    provider = program.provider()
    assert provider.credential() is provider.credential()
    assert not program.file.exists()


def test_many_at_once_sign_in_once(program):
    """The lock of the store is for them, too."""
    tokens = []
    threads = [threading.Thread(target=lambda: tokens.append(program.token())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens == ["AT1"] * 6


def test_no_token_is_asked_for_that_could_not_be_kept(program):
    """As in a container with a home that cannot be written."""
    (program.home.folder / "keyfob").write_text("in the way")
    with pytest.raises(StoreError):
        program.token()
    assert program.issuer.asked == []


def test_without_the_variable_nobody_signs_in(program):
    """It is named, with both ways to give the secret."""
    del program.home.environ["CORP_SECRET"]
    with pytest.raises(MissingCredentialError, match="CORP_SECRET is not set") as caught:
        program.token()
    assert caught.value.hint == "export CORP_SECRET=…, or keyfob login corp"


def test_who_gives_no_secret_is_told_of_the_variable_too(program, monkeypatch):
    """They forgot to export it, perhaps."""

    def nothing(what, whom):
        raise MissingCredentialError(f"no {what} was given", hint="pipe it in")

    del program.home.environ["CORP_SECRET"]
    monkeypatch.setattr(program.person, "secret", nothing)
    with pytest.raises(MissingCredentialError, match="no client secret was given") as caught:
        program.sign_in()
    assert caught.value.hint == "export CORP_SECRET=…, or pipe it in"


def test_a_secret_that_is_typed_is_stored_and_renews(program):
    """Until the environment has one, which then goes before it."""
    del program.home.environ["CORP_SECRET"]
    program.sign_in()
    assert program.person.typed == ["client secret for robot of corp"]
    assert program.stored["client_secret"] == "typed-secret"
    program.now += LIFE
    assert program.token() == "AT2"
    program.home.environ["CORP_SECRET"] = "env-secret"
    program.now += LIFE
    assert program.token() == "AT3"
    assert len({header for *_, header in program.issuer.asked if header}) == 2


def test_a_program_that_was_refused_says_why(program):
    """And stores nothing; its issuer is not asked again by each process, but after a wait that doubles."""
    program.issuer.answers[TOKEN] = [(401, {"error": "invalid_client", "error_description": "wrong secret"})] * 2
    for asked in (1, 2):
        for _ in range(3):
            with pytest.raises(SignInError, match=r"sso\.test answered 401: invalid_client \(wrong secret\)") as caught:
                program.token()
            assert "CORP_SECRET" in caught.value.hint
        assert len(program.issuer.requests(TOKEN)) == asked
        found = standing(program.provider().login)
        assert (found.state, found.failures, found.not_before) == ("signs in by itself", asked, program.now + asked)
        assert (str(found.problem), found.hint) == (str(caught.value), caught.value.hint)
        program.now += asked
    assert not program.file.exists()
    assert program.token() == "AT1"


def test_an_issuer_that_wants_to_be_left_alone_is(program):
    """Until another secret, or another table, could make it answer otherwise."""
    program.issuer.answers[TOKEN] = [(429, {}), (429, {}), (429, {})]
    program.issuer.retry_after = 120.0

    def refused(times):
        with pytest.raises(SignInError, match="429"):
            program.token()
        assert len(program.issuer.requests(TOKEN)) == times

    refused(1)
    program.now += 119
    refused(1)
    program.home.environ["CORP_SECRET"] = "new-secret"
    refused(2)
    refused(2)
    program.write(PROGRAM + 'token_endpoint_auth_method = "client_secret_post"')
    refused(3)
    assert "secret" not in program.file.with_name("corp.json.keyfob.journal").read_text()
    program.now += 120
    assert program.token() == "AT1"


def test_its_secret_is_not_spent_by_a_renewal(program):
    """One without an answer is tried again, and never counts as interrupted."""
    program.token()
    program.now += LIFE
    program.issuer.answers[TOKEN] = [UnansweredError("sso.test did not answer")]
    with pytest.raises(RenewalError, match="did not answer") as caught:
        program.token()
    assert caught.value.code == "renewal"
    program.now += 2
    assert program.token() == "AT2"
    assert len(program.issuer.requests(TOKEN)) == 3


@pytest.mark.parametrize(
    ("error", "kind", "part"),
    [
        ("invalid_client", ConfigError, "does not know this client secret"),
        ("invalid_scope", RenewalError, "invalid_scope"),
    ],
)
def test_a_refused_renewal_of_a_program_is_never_final(program, error, kind, part):
    """Its secret is as good as before: once that is right again, also in the environment alone, it goes on at once."""
    program.token()
    program.now += LIFE
    program.issuer.answers[TOKEN] = [(400, {"error": error})]
    with pytest.raises(kind, match=part) as caught:
        program.token()
    assert not isinstance(caught.value, RefusedError)
    assert (caught.value.hint == "export CORP_SECRET=… anew") == (error == "invalid_client")
    program.home.environ["CORP_SECRET"] = "new-secret"
    assert program.token() == "AT2"


@pytest.mark.parametrize("flow", ["", 'flow = "client_credentials"'])
def test_a_renewal_without_the_secret_names_the_variable(corp, flow):
    """Nothing is sent, and nothing has begun."""
    corp.write(f'{PEOPLE}client_secret_env = "CORP_SECRET"\n{flow}')
    corp.home.environ["CORP_SECRET"] = "env-secret"
    corp.sign_in()
    corp.now += LIFE
    asked = len(corp.issuer.asked)
    assert standing(corp.provider().login).hint != "export CORP_SECRET=…: a renewal needs it"
    del corp.home.environ["CORP_SECRET"]
    found = standing(corp.provider().login)
    assert (found.state, found.usable, "export CORP_SECRET=…" in found.hint) == ("expired", False, True)
    corp.now -= LIFE
    assert standing(corp.provider().login).hint == "export CORP_SECRET=…, before it expires: a renewal needs it"
    corp.now += LIFE
    with pytest.raises((MissingCredentialError, NotSignedInError), match="CORP_SECRET is not set"):
        corp.token()
    assert len(corp.issuer.asked) == asked
    assert corp.provider().login.store.journal().intent is None
    corp.home.environ["CORP_SECRET"] = "env-secret"
    assert corp.token() == "AT2"


def test_on_the_command_line(home, capsys, monkeypatch):
    """The secret comes from stdin; neither it nor a token is shown."""
    answers = {"/token": [(200, {"access_token": "canary-token", "token_type": "Bearer", "expires_in": 3600})]}
    with ModelServer(answers=answers) as server:
        home.write(
            '[model_providers.corp]\nbase_url = "https://llm.test/v1"\n[model_providers.corp.oauth]\n'
            f'client_id = "robot"\nflow = "client_credentials"\ntoken_endpoint = "{server.origin}/token"',
            "keyfob.toml",
        )
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"canary-secret\n")))
        assert run(["login", "corp"], home.environ, places=home.places) == 0
        assert run(["status", "corp", "--json"], home.environ, places=home.places) == 0
        assert run(["logout", "corp"], home.environ, places=home.places) == 0
    said = capsys.readouterr()
    (found,) = json.loads(said.out)["logins"]
    assert (found["method"], found["account"], found["controls"]) == (
        "OAuth",
        "robot",
        f"those of {server.origin}/token",
    )
    assert "reading the client secret from stdin" in said.err
    assert "may still be valid: its issuer names no revocation_endpoint" in said.err
    assert "canary" not in said.out + said.err


@pytest.mark.parametrize(
    ("error", "lines", "hint"),
    [
        ("invalid_client", "", "look at model_providers.corp.oauth.client_id"),
        (
            "invalid_client",
            'client_secret_env = "CORP_SECRET"',
            "look at model_providers.corp.oauth.client_id, or export CORP_SECRET=… anew",
        ),
        (
            "unauthorized_client",
            'token_endpoint_auth_method = "client_secret_post"',
            "look at model_providers.corp.oauth.client_id and its flow, and at the secret that was given",
        ),
        ("invalid_scope", "", "look at model_providers.corp.oauth.scopes"),
        ("invalid_request", "", "look at model_providers.corp.oauth"),
        ("invalid_grant", "", "keyfob login corp"),  # the code was too old, perhaps
    ],
)
def test_what_the_issuer_refuses_is_told_with_the_key_that_decides_on_it(corp, error, lines, hint):
    """By its code, in the answer to the exchange as in the browser's; the same command again mends nothing."""
    corp.write(PEOPLE + lines)
    corp.home.environ["CORP_SECRET"] = "env-secret"
    corp.issuer.answers[TOKEN] = [(400, {"error": error, "error_description": "no way"})]
    with pytest.raises(SignInError, match=rf"sso\.test answered 400: {error} \(no way\)") as caught:
        corp.sign_in()
    assert caught.value.hint == hint
    corp.person.back = {"error": error, "error_description": "no way"}
    with pytest.raises(SignInError, match=rf"sso\.test refused: {error} \(no way\)") as caught:
        corp.sign_in()
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((200, {"issuer": "https://other.test", "token_endpoint": TOKEN}), "look at model_providers.corp.oauth.issuer"),
        (
            (200, {"issuer": ISSUER}),
            "look at model_providers.corp.oauth.issuer, or name the endpoints beside it",
        ),
        (
            UnreachableError("sso.test cannot be reached: Name or service not known", unknown=True),
            "look at model_providers.corp.oauth.issuer; it may need a VPN",
        ),
        (UnreachableError("sso.test cannot be reached: Connection refused"), "keyfob doctor"),
    ],
)
def test_an_issuer_that_is_not_the_one_is_told_with_its_key(corp, answer, hint):
    """Its metadata are another's, or there is no such host; what the network has is `keyfob doctor`'s."""
    corp.issuer.answers[METADATA] = [answer]
    with pytest.raises(SignInError) as caught:
        corp.sign_in()
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("more", "hint"), [({}, "→ keyfob login corp\n"), ({"refresh_token": "RT"}, "→ keyfob explain corp\n")]
)
def test_a_refused_login_that_nothing_renews_is_made_anew(home, capsys, more, hint):
    """Such as one that was ended on the machine that it came from; of any other its configuration may be wrong."""
    with ModelServer(answers={"/v1/models": [401] * 2}) as server:
        base, table = f"{server.origin}/v1", f'client_id = "keyfob"\nflow = "device"\n{ENDPOINTS}'
        home.write(f'[model_providers.corp]\nbase_url = "{base}"\n[model_providers.corp.oauth]\n{table}', "keyfob.toml")
        login = Host(home.environ, places=home.places).provider("corp").login
        made = made_with(login.records._options)
        times = {"expires_at": time.time() + LIFE, "issued_at": time.time()}
        login.store.write({"origin": server.origin, "made_with": made, "token_endpoint": TOKEN, "access_token": "AT",
                           **times, **more})  # fmt: skip
        assert run(["request", "models", "--provider", "corp"], home.environ, places=home.places) == 1
    said = capsys.readouterr().err
    assert "corp answered 401 Unauthorized\n" in said
    assert hint in said


# Renewing, and what changes


def test_it_is_renewed_where_it_was_made(corp):
    """The metadata are asked at the sign-in alone; a refresh token that is not rotated stays."""
    corp.write(PEOPLE + 'resource = "https://llm.test"')
    corp.sign_in()
    corp.issuer.metadata["token_endpoint"] = "https://elsewhere.test/token"
    corp.issuer.fields["refresh_token"] = None
    corp.now += LIFE
    assert corp.token() == "AT2"
    corp.issuer.fields["refresh_token"] = " "  # is none either
    corp.now += LIFE
    assert corp.token() == "AT3"
    assert corp.issuer.requests(TOKEN)[1:] == [
        {"grant_type": "refresh_token", "client_id": "keyfob", "refresh_token": "RT1", "resource": "https://llm.test"}
    ] * 2  # fmt: skip
    assert len(corp.issuer.requests(METADATA)) == 1


def test_a_login_that_the_server_has_ended_says_so(corp):
    """Such as for a refresh token that was used twice."""
    corp.sign_in()
    corp.now += LIFE
    corp.issuer.answers[TOKEN] = [(400, {"error": "invalid_grant"})]
    with pytest.raises(RefusedError, match=r"corp: its issuer refused to renew the login \(invalid_grant\)") as caught:
        corp.token()
    assert caught.value.hint == "keyfob login corp"


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (ISSUER, "https://other.test", 'issuer "https://sso.test", and the configuration says "https://other.test"'),
        ('"keyfob"', '"other"', 'client_id "keyfob", and the configuration says "other"'),
        (', "offline_access"', "", "scopes"),
        ("client_id", 'audience = "x"\nclient_id', 'audience none, and the configuration says "x"'),
        ("client_id", 'resource = "https://x"\nclient_id', "resource none"),
        ("client_id", f'revocation_endpoint = "{ISSUER}/r"\nclient_id', "revocation_endpoint none"),
        ("client_id", 'flow = "client_credentials"\nclient_id', "client_credentials false"),
    ],
)
def test_a_login_of_another_configuration_is_not_used(corp, old, new, part):
    """Not sent, not renewed, not revoked; signing in replaces it unasked."""
    corp.sign_in()
    corp.write(PEOPLE.replace(old, new))
    asked = len(corp.issuer.asked)
    corp.now += LIFE
    provider = corp.provider()
    with pytest.raises(OtherOriginError, match=part) as caught:
        provider.credential()
    assert caught.value.hint == "keyfob login corp"
    assert part in sign_out(provider.login, [provider.login.store]).still_valid[0]
    assert len(corp.issuer.asked) == asked
    assert not corp.file.exists()


def test_that_the_login_of_another_configuration_may_live_on_is_told(corp):
    """It was to be revoked, and where that is done the configuration does not say any more."""
    corp.sign_in()
    corp.write(PEOPLE.replace('"openid", ', ""))
    provider = corp.provider()
    done = sign_in(provider, "browser", revoke_old=True)
    assert "the stored login was made with scopes" in done.old.still_valid
    assert corp.issuer.requests(REVOKE) == []


def test_the_order_of_the_scopes_and_where_one_comes_back_do_not_matter(corp):
    """Nor does the header."""
    corp.sign_in()
    corp.write(
        PEOPLE.replace('"openid", "offline_access"', '"offline_access", "openid"')
        + 'header = "X-Token"\nredirect_uri = "http://127.0.0.1:8765/cb"'
    )
    assert corp.token() == "AT1"


def test_a_program_whose_configuration_changes_signs_in_anew(program):
    """It takes nobody."""
    program.token()
    program.write(PROGRAM.replace("robot", "android"))
    assert program.provider().state().summary == "signs in by itself"
    assert program.token() == "AT2"


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": ""}, {"access_token": None}, {"refresh_token": 5}, {"token_endpoint": None}, {"made_with": []},
        {"expires_at": "canary"}, {"issued_at": True}, {"account": {}},
        {"email": ["canary"]},
    ],
)  # fmt: skip
def test_a_damaged_login_is_told_of(corp, fields):
    """With the field, and without what is in it."""
    corp.sign_in()
    corp.file.write_text(json.dumps(corp.stored | fields))
    with pytest.raises(DamagedLoginError, match=next(iter(fields))) as caught:
        corp.token()
    assert "canary" not in str(caught.value)
    assert caught.value.hint == "keyfob login corp --replace"


# Signing out


def test_it_is_revoked_by_its_refresh_token(corp):
    """At the endpoint of the sign-in (RFC 7009); a login without one by its access token."""
    for more in ({}, {"refresh_token": None}):
        corp.issuer.fields = more
        corp.sign_in()
        login = corp.provider().login
        assert sign_out(login, [login.store]).still_valid == ()
    assert corp.issuer.requests(REVOKE) == [
        {"client_id": "keyfob", "token": "RT1", "token_type_hint": "refresh_token"},
        {"client_id": "keyfob", "token": "AT2", "token_type_hint": "access_token"},
    ]


def test_one_that_cannot_be_revoked_may_stay_valid(corp):
    """Where its issuer has no endpoint for that, and that is said."""
    del corp.issuer.metadata["revocation_endpoint"]
    corp.sign_in()
    login = corp.provider().login
    assert "names no revocation_endpoint" in sign_out(login, [login.store]).still_valid[0]
    corp.issuer.fields["refresh_token"] = None
    corp.sign_in()
    assert "ends by itself" in sign_out(login, [login.store]).still_valid[0]


def test_what_is_carried_elsewhere_renews_nothing(program):
    """Neither the refresh token nor the client's secret."""
    del program.home.environ["CORP_SECRET"]
    program.sign_in()
    login = program.provider().login
    data = login.records.without_renewal(login.stored().data)
    assert login.records.read(data).secret is None
    assert "typed-secret" not in json.dumps(data)


def test_what_is_elsewhere_by_an_earlier_configuration_does_not_keep_a_move_from_ending(corp):
    """It stays; the login that was carried away goes from the place behind it."""
    corp.sign_in()
    earlier = FileStore(str(corp.home.folder / "earlier.json"))
    earlier.write(corp.stored)
    corp.write(PEOPLE.replace('"openid", ', ""))
    corp.sign_in()
    provider = corp.provider()
    done = move(provider, provider.login, [earlier, provider.login.store], lambda record, carried: None)
    assert (done.removed, done.failed) == ((str(corp.file),), ())
    assert not corp.file.exists()
    assert earlier.read() is not None


# What is announced


def announcing(corp, heard):
    """A provider whose events end up there."""
    provider = corp.provider()
    provider.host.announce = heard.append
    return provider


def test_whoever_signs_in_is_announced(corp):
    """Once it is stored, by its account; not one who gave up."""
    heard = []
    corp.issuer.fields["id_token"] = jwt(iss=ISSUER, aud=["keyfob"], sub="u-1")
    corp.person.back["error"] = "access_denied"
    with pytest.raises(SignInError):
        sign_in(announcing(corp, heard), "browser")
    assert heard == []
    del corp.person.back["error"]
    sign_in(announcing(corp, heard), "browser")
    assert heard == [Event("login", "corp", NOW, "oauth", account="u-1", place=str(corp.file))]


def test_a_program_that_signs_in_by_itself_is_announced(program):
    """And its renewal; who finds either done announces nothing."""
    heard = []
    for now in (NOW, NOW, NOW + LIFE, NOW + LIFE):
        program.now = now
        announcing(program, heard).credential()
    assert [(event.kind, event.at, event.plugin) for event in heard] == [
        ("login", NOW, "oauth"),
        ("renewal", NOW + LIFE, "oauth"),
    ]
    assert "env-secret" not in repr(heard)
