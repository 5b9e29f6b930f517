"""Signing in with ChatGPT: what the issuer is asked, what is stored, and what happens where one of them says no."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

import keyfob_openai.sign_in
from keyfob.errors import ConfigError, DeniedError, PolicyError, SignInError
from keyfob.signin import sign_in
from keyfob.testing import Person
from keyfob.testing.answers import Answer
from keyfob.testing.issuer import CLIENT_ID, Issuer, jwt
from keyfob.testing.sign_in import redirect

from ..clients.raw import Authority, Raw, Tunnels  # noqa: TID252

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyfob.signin import SignedIn

    from ..homes import Home  # noqa: TID252

LAB = 'cli_auth_credentials_store = "file"\n[model_providers.x]\nbase_url = "https://llm.example/v1"\n'
LAB += "requires_openai_auth = true\n"
OLD = '{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-old"}'


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """An issuer; the browser comes back to any port, so that tests do not meet at Codex's."""
    monkeypatch.setattr(keyfob_openai.sign_in, "_PORTS", (0,))
    with Issuer() as running:
        yield running


class Lab:
    """Signs in at that issuer."""

    def __init__(self, home: Home, issuer: Issuer) -> None:
        self.home, self.issuer, self.person = home, issuer, Person()
        home.environ = {"KEYFOB_OPENAI_ISSUER": issuer.url}
        self.file = home.folder / "auth.json"

    def signs_in(self, flow: str = "browser", config: str = "", **options: Any) -> SignedIn:
        return sign_in(self.home.provider(config + LAB, interaction=self.person), flow, **options)

    @property
    def stored(self) -> Any:
        return json.loads(self.file.read_text(encoding="utf-8"))

    @property
    def asked(self) -> list[str]:
        return [each.endpoint for each in self.issuer.asked]

    def answers(self, endpoint: str, answer: object) -> None:
        self.issuer.sign_in.answers[endpoint] = [answer]  # type: ignore[list-item]


@pytest.fixture
def lab(home: Home, issuer: Issuer) -> Lab:
    return Lab(home, issuer)


def test_what_is_asked_and_stored_is_codexs(lab: Lab) -> None:
    """Field by field, in its order."""
    done = lab.signs_in()
    authorize, code, exchange = (each.fields for each in lab.issuer.asked)
    assert list(authorize) == [
        "response_type",
        "client_id",
        "redirect_uri",
        "code_challenge",
        "code_challenge_method",
        "state",
        "scope",
        "id_token_add_organizations",
        "codex_cli_simplified_flow",
        "originator",
    ]
    assert authorize["scope"] == "openid profile email offline_access api.connectors.read api.connectors.invoke"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/auth/callback", authorize["redirect_uri"])
    assert list(code) == ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"]
    assert (code["redirect_uri"], code["client_id"]) == (authorize["redirect_uri"], CLIENT_ID)
    assert exchange["requested_token"] == "openai-api-key"
    tokens = lab.stored["tokens"]
    assert exchange["subject_token"] == tokens["id_token"]
    assert list(lab.stored) == ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]
    assert (lab.stored["auth_mode"], lab.stored["OPENAI_API_KEY"]) == ("chatgpt", "sk-exchanged")
    names = ["id_token", "access_token", "refresh_token", "oauth_provenance", "login_owner_id", "account_id"]
    assert list(tokens) == names
    assert tokens["oauth_provenance"] == {"issuer": lab.issuer.url, "client_id": CLIENT_ID}
    assert (len(tokens["login_owner_id"]), tokens["account_id"]) == (43, "acct-1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", lab.stored["last_refresh"])
    assert (lab.file.stat().st_mode & 0o777, done.record.account) == (0o600, "acct-1")
    assert "Signed in to ChatGPT" in lab.person.leave()


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [(500, "no"), (200, "<html>"), (200, {"access_token": 5}), (403, {"error": "access_denied"}), Answer(hang=True)],
    ids=["500", "html", "no text", "denied", "silent"],
)
def test_no_api_key_keeps_nobody_from_signing_in(lab: Lab, answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor holds them up: who does not answer is not waited for."""
    monkeypatch.setattr(keyfob_openai.sign_in, "_PATIENCE", 0.1)
    lab.answers("token.exchange", answer)
    lab.signs_in()
    assert lab.asked[-1] == "token.exchange"
    assert (lab.stored["OPENAI_API_KEY"], lab.stored["auth_mode"]) == (None, "chatgpt")


def test_who_is_in_no_workspace_signs_in_as_well(lab: Lab) -> None:
    """As in Codex."""
    lab.issuer.account = None
    assert lab.signs_in().record.account is None
    assert lab.stored["tokens"]["account_id"] is None


WORKSPACES = 'forced_chatgpt_workspace_id = ["acct-9", "acct-1", "acct-5"]\n'


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["browser", "device"])
def test_only_a_permitted_workspace_is_let_in(lab: Lab, flow: str) -> None:
    """It is asked for in the order of the configuration; of another nothing is stored, and the page says why."""
    lab.file.write_text(OLD)
    lab.file.chmod(0o600)
    lab.issuer.account = "acct-7"
    with pytest.raises(PolicyError, match="belongs to workspace acct-7, which breaks forced_chatgpt_workspace_id"):
        lab.signs_in(flow, WORKSPACES)
    assert lab.file.read_text() == OLD
    assert "token.exchange" not in lab.asked
    if flow == "browser":
        assert lab.issuer.asked[0].fields["allowed_workspace_id"] == "acct-9,acct-1,acct-5"
        assert "workspace acct-7" in lab.person.leave()
    lab.issuer.account = "acct-5"
    assert lab.signs_in(flow, WORKSPACES).record.account == "acct-5"


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ("user said <b>no</b>", "refused: user said <b>no</b>"),
        ("x: missing_codex_entitlement!", "Codex is not enabled for your workspace; its administrator can give"),
    ],
)
def test_who_is_refused_is_told_why(lab: Lab, description: str, told: str) -> None:
    """In the terminal and on the page; the login that was there stays."""
    lab.file.write_text(OLD)
    lab.file.chmod(0o600)
    lab.answers("authorize", lambda _, asked: redirect(asked, error="access_denied", error_description=description))
    with pytest.raises(DeniedError, match=re.escape(told)):
        lab.signs_in()
    assert told.replace("<", "&lt;").replace(">", "&gt;") in lab.person.leave()
    assert (lab.file.read_text(), lab.asked) == (OLD, ["authorize"])


def tokens(**other: Any) -> dict[str, Any]:
    """An answer of the token endpoint."""
    return {"id_token": jwt(), "access_token": "at", "refresh_token": "rt", **other}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, "<html>canary"), "answered 500"),
        ((400, {"error": "invalid_grant", "error_description": "used"}), "answered 400: invalid_grant (used)"),
        ((400, {"error": {"message": "no such code", "code": "x"}}), "answered 400: x (no such code)"),
        ((200, "<html>canary"), "without an access_token"),
        ((200, tokens(refresh_token=None)), "without refresh_token"),
        ((200, tokens(id_token="", refresh_token=None)), "without id_token and refresh_token"),
        ((200, tokens(id_token="canary")), "with a login that cannot be used"),
        ((200, tokens(access_token="a\nb")), "access_token that no header can hold"),
        (
            (200, tokens(id_token=jwt(**{"https://api.openai.com/auth": {"chatgpt_account_id": "a\nb"}}))),
            "with a login that cannot be used",
        ),
        ((200, tokens(token_type="mac")), "no bearer token"),
        (Answer(close=True), "127.0.0.1 did not answer"),
    ],
)
def test_of_an_answer_that_is_no_login_nothing_is_stored(lab: Lab, answer: object, told: str) -> None:
    """And what was there is as it was; terminal and page say what is wrong."""
    lab.file.write_text(OLD)
    lab.file.chmod(0o600)
    lab.answers("token.code", answer)
    with pytest.raises(SignInError, match=re.escape(told)) as caught:
        lab.signs_in()
    assert lab.file.read_text() == OLD
    page = lab.person.leave()
    assert told in page
    assert "canary" not in f"{caught.value} {page}"


def test_the_redirect_may_name_localhost(lab: Lab) -> None:
    """In both requests alike."""
    lab.home.environ["KEYFOB_OPENAI_REDIRECT_HOST"] = "localhost"
    lab.signs_in()
    authorize, code = (each.fields["redirect_uri"] for each in lab.issuer.asked[:2])
    assert authorize == code
    assert authorize.startswith("http://localhost:")


@pytest.mark.parametrize("flow", ["browser", "device"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KEYFOB_OPENAI_ISSUER", "http://issuer.example", "KEYFOB_OPENAI_ISSUER: it is not https"),
        ("KEYFOB_OPENAI_ISSUER", "https://u@issuer.example", "KEYFOB_OPENAI_ISSUER: it holds a user name"),
        ("KEYFOB_OPENAI_REDIRECT_HOST", "evil.example", "neither 127.0.0.1 nor localhost"),
    ],
)
def test_nobody_is_sent_where_a_login_would_be_seen(lab: Lab, flow: str, name: str, value: str, told: str) -> None:
    """The person is shown nothing, and nobody is asked."""
    lab.home.environ[name] = value
    with pytest.raises(ConfigError, match=told):
        lab.signs_in(flow)
    assert (lab.person.shown, lab.asked, lab.file.exists()) == ([], [], False)


def test_an_issuer_may_be_written_with_a_slash(lab: Lab) -> None:
    """It is not part of what it is called."""
    lab.home.environ["KEYFOB_OPENAI_ISSUER"] += "/"
    lab.signs_in("device")
    assert lab.stored["tokens"]["oauth_provenance"]["issuer"] == lab.issuer.url


def test_with_a_code_what_is_asked_is_codexs(lab: Lab) -> None:
    """No API key is asked for; the code may be called `usercode`."""
    lab.issuer.sign_in.pending, lab.issuer.sign_in.code_name, lab.issuer.sign_in.interval = 2, "usercode", "3"
    lab.signs_in("device")
    assert lab.asked == ["device.usercode", *["device.token"] * 3, "token.code"]
    usercode, poll, *_, code = (each.fields for each in lab.issuer.asked)
    assert usercode == {"client_id": CLIENT_ID}
    assert list(poll) == ["device_auth_id", "user_code"]
    assert code["redirect_uri"] == f"{lab.issuer.url}/deviceauth/callback"
    assert lab.person.shown == [f"{lab.issuer.url}/codex/device", poll["user_code"]]
    assert lab.person.waited == [3, 3]
    assert any("15 minutes" in each for each in lab.person.said)
    assert (lab.stored["OPENAI_API_KEY"], lab.stored["tokens"]["account_id"]) == (None, "acct-1")


@pytest.mark.parametrize(
    ("endpoint", "answer", "told"),
    [
        ("device.usercode", (429, {"error": {"message": "too many", "code": "x"}}), "answered 429: x \\(too many\\)"),
        ("device.usercode", (200, {"user_code": "A"}), "without a device_auth_id"),
        ("device.usercode", (200, {"device_auth_id": "d"}), "without a code that can be entered"),
        ("device.token", 410, "answered 410"),
        ("device.token", (403, {"error": {"code": "access_denied", "message": "said no"}}), "answered 403: said no"),
        ("device.token", (400, {"error": "expired_token"}), "not entered in time"),
        ("device.token", (200, {"authorization_code": "c"}), "without an authorization code"),
        ("token.code", (500, "x"), "answered 500"),
    ],
)
def test_with_a_code_any_other_answer_ends_it(lab: Lab, endpoint: str, answer: object, told: str) -> None:
    """Nothing is stored."""
    lab.answers(endpoint, answer)
    with pytest.raises(SignInError, match=told):
        lab.signs_in("device")
    assert not lab.file.exists()


def test_where_codes_are_switched_off_the_browser_is_used(lab: Lab) -> None:
    """And that is said before anything else."""
    lab.issuer.sign_in.device = False
    lab.signs_in("device")
    assert lab.asked == ["device.usercode", "authorize", "token.code", "token.exchange"]
    assert lab.person.said[0].endswith("switched off; signing in in the browser instead")
    assert lab.person.shown[0].startswith(f"{lab.issuer.url}/oauth/authorize?")


@pytest.mark.slow
def test_through_a_companys_proxy_with_certificates_of_its_own(lab: Lab, tmp_path: Path) -> None:
    """Every request of keyfob's; here OpenAI's own name leads to the issuer of the test."""
    authority = Authority(tmp_path)
    forward = Tunnels(int(lab.issuer.url.rpartition(":")[2]), greeting=b"")
    lab.person.goes = lambda url: url.replace("https://auth.openai.com", lab.issuer.url)
    with (
        Raw(forward, tls=authority.server("auth.openai.com"), unread=True) as tls,
        Raw(Tunnels(tls.port)) as proxy,
    ):
        lab.home.environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "SSL_CERT_FILE": authority.file}
        lab.signs_in()
    assert [each.split(b"\r\n")[0] for each in proxy.received] == [b"CONNECT auth.openai.com:443 HTTP/1.1"] * 2
    assert lab.asked == ["authorize", "token.code", "token.exchange"]
    assert lab.stored["tokens"]["oauth_provenance"]["issuer"] == "https://auth.openai.com"
