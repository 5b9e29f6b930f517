"""The issuer's sign-in: what it gives to a program that asks as Codex does, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from keyfob.testing.issuer import CLAIM, Issuer
from keyfob.testing.sign_in import EXCHANGE, ID_TOKEN, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator

BACK = "http://127.0.0.1:1455/auth/callback"
VERIFIER = "verifier-" + "x" * 50


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


class Program:
    """What signs somebody in, by hand."""

    def __init__(self, issuer: Issuer) -> None:
        self._url, self._id = issuer.url, issuer.client_id
        self.http = httpx.Client(base_url=issuer.url, trust_env=False)

    def authorize(self, **other: str) -> httpx.Response:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
        pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
        asked = {"response_type": "code", "client_id": self._id, "redirect_uri": BACK, "state": "s", "scope": "openid"}
        return self.http.get("/oauth/authorize", params={**asked, **pkce, **other})

    def token(self, code: str, **other: str) -> httpx.Response:
        form = {"client_id": self._id, "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return self.http.post("/oauth/token", data={"grant_type": "authorization_code", **form, **other})

    def exchange(self, id_token: str, **other: str) -> httpx.Response:
        subject = {"subject_token": id_token, "subject_token_type": ID_TOKEN}
        form = {"grant_type": EXCHANGE, "client_id": self._id, "requested_token": "openai-api-key", **subject}
        return self.http.post("/oauth/token", data={**form, **other})

    def usercode(self) -> httpx.Response:
        return self.http.post("/api/accounts/deviceauth/usercode", json={"client_id": self._id})

    def poll(self, device: dict[str, str]) -> httpx.Response:
        asked = {name: device[name] for name in ("device_auth_id", "user_code")}
        return self.http.post("/api/accounts/deviceauth/token", json=asked)


@pytest.fixture
def program(issuer: Issuer) -> Iterator[Program]:
    made = Program(issuer)
    yield made
    made.http.close()


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """The parameters that the browser brings back."""
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(f"{BACK}?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True))


def claims(token: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))[CLAIM]


@pytest.mark.slow
def test_a_code_becomes_a_login_that_can_be_renewed_and_an_api_key(issuer: Issuer, program: Program) -> None:
    """Each request is remembered by its endpoint's name, with its fields."""
    issuer.claims = {"organizations": [{"id": "org-1"}]}
    back = sent_back(program.authorize())
    assert back["state"] == "s"
    tokens = program.token(back["code"]).json()
    own = {"chatgpt_account_id": "acct-1", "chatgpt_plan_type": "pro", "organizations": [{"id": "org-1"}]}
    assert claims(tokens["id_token"]) == claims(tokens["access_token"]) == own
    assert issuer.is_current(tokens["refresh_token"])
    assert program.exchange(tokens["id_token"]).json() == {"access_token": "sk-exchanged"}
    assert issuer.renewed({"refresh_token": tokens["refresh_token"]})[0] == 200
    assert [each.endpoint for each in issuer.asked] == ["authorize", "token.code", "token.exchange"]
    assert issuer.asked[1].fields["code"] == back["code"]
    assert (issuer.presented, issuer.renewals) == ([], 0)
    assert back["code"] not in repr(issuer.asked)


def test_a_code_is_good_once(program: Program) -> None:
    """For whoever is first."""
    code = sent_back(program.authorize())["code"]
    assert program.token(code).status_code == 200
    assert program.token(code).json()["error"] == "invalid_grant"


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [{"client_id": "another"}, {"redirect_uri": BACK.replace("1455", "1457")}, {"code_verifier": "another" * 9}],
    ids=["client", "redirect", "verifier"],
)
def test_a_code_is_for_the_program_that_asked_for_it(program: Program, other: dict[str, str]) -> None:
    """Its client, its redirect URI to the letter, its verifier."""
    answer = program.token(sent_back(program.authorize())["code"], **other)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"state": ""}, "invalid_request"),
        ({"scope": "email"}, "invalid_scope"),
    ],
)
def test_the_program_is_told_what_is_wrong(program: Program, other: dict[str, str], error: str) -> None:
    """Through the browser."""
    assert sent_back(program.authorize(**other))["error"] == error


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://127.0.0.1:1455/auth/callback"},
        {"redirect_uri": "http://elsewhere.example/auth/callback"},
        {"redirect_uri": "http://127.0.0.1:1455/other"},
    ],
)
def test_nobody_is_sent_where_no_known_program_is(program: Program, other: dict[str, str]) -> None:
    """It is told to the person."""
    answer = program.authorize(**other)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


def test_a_person_can_say_no_and_an_issuer_fail(issuer: Issuer, program: Program) -> None:
    """By a script, for each endpoint."""
    issuer.sign_in.answers = {
        "authorize": [
            lambda _, asked: redirect(asked, error="access_denied"),
            lambda _, asked: redirect(asked, code=""),
        ],
        "token.code": [(500, b"<html>")],
    }
    assert sent_back(program.authorize()) == {"state": "s", "error": "access_denied"}
    assert sent_back(program.authorize()) == {"state": "s", "code": ""}
    assert program.token(sent_back(program.authorize())["code"]).text == "<html>"
    assert [each.received.answered for each in issuer.asked] == [302, 302, 302, 500]


def test_no_api_key_but_for_a_login_of_its_own(issuer: Issuer, program: Program) -> None:
    """And none at all, where none is given."""
    tokens = program.token(sent_back(program.authorize())["code"]).json()
    assert program.exchange("another").status_code == 400
    assert program.exchange(tokens["id_token"], requested_token="another").status_code == 400
    issuer.sign_in.api_key = None
    assert program.exchange(tokens["id_token"]).status_code == 400


def test_a_device_gets_a_code_when_somebody_has_entered_its_own(issuer: Issuer, program: Program) -> None:
    """On the page, or after so many polls; the issuer makes the verifier, and the code is good once."""
    issuer.sign_in.pending = None
    device = program.usercode().json()
    assert device["interval"] == "5"
    assert program.poll(device).status_code == 403
    assert "<form" in program.http.get("/codex/device").text
    assert program.http.post("/codex/device", data={"user_code": "<b>"}).status_code == 400
    assert program.http.post("/codex/device", data={"user_code": device["user_code"]}).status_code == 200
    got = program.poll(device).json()
    back = f"{issuer.url}/deviceauth/callback"
    found = program.token(got["authorization_code"], redirect_uri=back, code_verifier=got["code_verifier"])
    assert issuer.is_current(found.json()["refresh_token"])
    assert program.poll(device).status_code == 400


def test_what_a_device_is_told_can_be_chosen(issuer: Issuer, program: Program) -> None:
    """The interval's type, the name of the code's field, and that there is no such login."""
    sign_in = issuer.sign_in
    sign_in.pending, sign_in.interval, sign_in.code_name = 2, 3, "usercode"
    told = program.usercode().json()
    assert (told["interval"], "user_code" in told) == (3, False)
    device = {**told, "user_code": told["usercode"]}
    assert [program.poll(device).status_code for _ in range(3)] == [403, 403, 200]
    sign_in.interval = None
    assert "interval" not in program.usercode().json()
    sign_in.device = False
    assert program.usercode().status_code == 404


def test_a_login_without_an_account(issuer: Issuer, program: Program) -> None:
    """Its tokens claim none."""
    issuer.account = None
    tokens = program.token(sent_back(program.authorize())["code"]).json()
    assert claims(tokens["id_token"]) == {"chatgpt_plan_type": "pro"}


def test_what_is_revoked_is_ended(issuer: Issuer, program: Program) -> None:
    """And no other login."""
    first, second = (issuer.login()["tokens"]["refresh_token"] for _ in range(2))
    program.http.post("/oauth/revoke", json={"token": "another"})
    program.http.post("/oauth/revoke", json={"token": first})
    assert (issuer.is_current(first), issuer.is_current(second)) == (False, True)
    assert [each["token"] for each in issuer.revoked] == ["another", first]


@pytest.mark.slow
def test_an_answer_that_hangs_ends_with_the_issuer() -> None:
    """As with the model server, whose listener it has."""
    with Issuer(answers=["hang"]) as issuer, Program(issuer).http as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post("/oauth/token", json={"grant_type": "refresh_token"}, timeout=0.1)
        assert (issuer.asked[0].received.answered, issuer.renewals) == (None, 0)
