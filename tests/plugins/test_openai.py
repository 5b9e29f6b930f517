"""OpenAI's logins: what auth.json says, what is sent, how a login is renewed and revoked."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import keyfob.httpx
from keyfob.credentials.ending import sign_out
from keyfob.credentials.exchange import Answer, Exchange, UnreachableError
from keyfob.credentials.saving import save
from keyfob.errors import (
    AccountChangedError,
    CredentialError,
    DamagedLoginError,
    IllegalHeaderError,
    NotSignedInError,
    UnsupportedLoginError,
)
from keyfob.plugin import Context, NoOptions, ProviderInfo
from keyfob.testing.issuer import CLAIM, Issuer, jwt
from keyfob_openai import login, rotation
from keyfob_openai.plugin import OpenAI, OpenAILogins

NOW = 1_800_000_000.0
WHOAMI = {"email": "a@example.com", "chatgpt_account_id": "acct-9", "chatgpt_plan_type": "team"}


def token(**claims: Any) -> str:
    """A JWT of account acct-1."""
    own = {"chatgpt_account_id": "acct-1", "chatgpt_plan_type": "pro", **claims.pop("own", {})}
    return jwt(**{"email": "somebody@example.com", "iat": NOW - 100, "exp": NOW + 3600, **claims, CLAIM: own})


def chatgpt(*, tokens: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A ChatGPT login as Codex writes it, with other or further fields."""
    own = {"id_token": token(), "access_token": token(), "refresh_token": "rt-1", "account_id": "acct-1"}
    whole = {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": own | (tokens or {}),
        "last_refresh": "2027-01-15T07:58:20.123456789Z",
    }
    return whole | fields


def logins(environ: dict[str, str] | None = None, send: Any = None) -> OpenAILogins:
    """The plugin's logins, with this environment, and this way to send."""

    def nowhere(exchange: Exchange) -> Answer:
        raise AssertionError(f"{exchange.url} was asked")

    context = Context(environ=environ or {}, clock=lambda: NOW, send=send or nowhere)
    return OpenAI().records(ProviderInfo("openai", "OpenAI", None), NoOptions(), context)


def answer(document: Any, status: int = 200) -> Answer:
    """An issuer's answer."""
    return Answer(status, document if isinstance(document, bytes) else json.dumps(document).encode())


# auth.json


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}, login.KEY),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1", "tokens": {}}, login.KEY),
        (chatgpt(OPENAI_API_KEY="sk-1"), login.TOKENS),
        (chatgpt(auth_mode="chatgptAuthTokens"), login.TOKENS),
        ({"auth_mode": "personalAccessToken", "personal_access_token": "at-1"}, login.PERSONAL),
        # Without a mode the first of these counts: personal access token, key, tokens.
        (chatgpt(auth_mode=None), login.TOKENS),
        (chatgpt(auth_mode=None, OPENAI_API_KEY="sk-1"), login.KEY),
        (chatgpt(auth_mode=None, OPENAI_API_KEY="sk-1", personal_access_token="at-1"), login.PERSONAL),
        ({"OPENAI_API_KEY": None, "personal_access_token": "at-1"}, login.PERSONAL),
    ],
)
def test_the_mode_says_what_is_used_else_what_is_there(data: dict[str, Any], kind: str) -> None:
    """As Codex infers it."""
    assert login.kind(data) == kind
    record = login.record_of(data)
    assert record.method == ("api" if kind == login.KEY else "chatgpt")
    assert record.data is data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({}, "holds no tokens"),
        ({"auth_mode": "chatgpt"}, "holds no tokens"),
        ({"auth_mode": "chatgpt", "tokens": []}, "holds no tokens"),
        ({"auth_mode": "apikey"}, "OPENAI_API_KEY is missing"),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": " \n"}, "OPENAI_API_KEY is empty"),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": 5}, "OPENAI_API_KEY is not a text"),
        ({"personal_access_token": ["at-1"]}, "personal_access_token is not a text"),
        ({"auth_mode": "apiKey", "OPENAI_API_KEY": "sk-1"}, "its kind, `apiKey`, is none that keyfob can use"),
        (chatgpt(auth_mode="tokens"), "its kind, `tokens`, is none"),
        ({"auth_mode": ["chatgpt"]}, "an auth_mode that Codex does not know either"),
        (chatgpt(tokens={"id_token": None}), "tokens.id_token is missing"),
        (chatgpt(tokens={"id_token": "a.b"}), "tokens.id_token is not a JWT"),
        (chatgpt(tokens={"id_token": "a.bm90IGpzb24.c"}), "tokens.id_token is not a JWT"),
        (chatgpt(tokens={"access_token": ""}), "tokens.access_token is empty"),
        (chatgpt(tokens={"refresh_token": 7}), "tokens.refresh_token is not a text"),
        (chatgpt(tokens={"refresh_token": None}), "tokens.refresh_token is missing"),
        (chatgpt(tokens={"account_id": 1}), "tokens.account_id is not the id"),
        (chatgpt(tokens={"account_id": "a\nb"}), "tokens.account_id is not the id"),
        (chatgpt(last_refresh="yesterday"), "last_refresh is not a time"),
        (chatgpt(last_refresh=12), "last_refresh is not a time"),
    ],
)
def test_what_cannot_be_used_is_told(data: dict[str, Any], what: str) -> None:
    """It is never taken for no login at all."""
    with pytest.raises(DamagedLoginError) as caught:
        logins().read(data)
    assert what in str(caught.value)
    assert caught.value.hint == "codex login, or keyfob login openai --replace"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"auth_mode": "agentIdentity", "agent_identity": "x"}, "agentIdentity"),
        ({"auth_mode": "headers"}, "headers"),
        ({"auth_mode": "bedrockApiKey", "bedrock_api_key": {"api_key": "x"}}, "bedrockApiKey"),
        ({"auth_mode": "bedrockAccessKeys"}, "bedrockAccessKeys"),
        ({"bedrock_api_key": {"api_key": "x"}, "OPENAI_API_KEY": "sk-1"}, "bedrock_api_key"),
        ({"bedrock_access_keys": {"access_key_id": "x"}}, "bedrock_access_keys"),
    ],
)
def test_what_only_codex_can_use_is_not_called_damaged(home: Any, data: dict[str, Any], kind: str) -> None:
    """Nobody is told to write over it, and nothing does unasked."""
    path = stored(home, data)
    provider = home.provider(LAB)
    with pytest.raises(UnsupportedLoginError) as caught:
        provider.credential()
    assert str(caught.value) == f"{path}: the stored OpenAI login is of a kind, `{kind}`, that only Codex can use"
    assert caught.value.hint == "use Codex for it, or set CODEX_HOME to another folder for keyfob"
    with pytest.raises(UnsupportedLoginError):
        save(provider.login, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-2"})
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == data


def test_a_secret_in_the_place_of_the_mode_is_not_repeated() -> None:
    """Only a word that could be a mode is."""
    with pytest.raises(DamagedLoginError) as caught:
        login.record_of({"auth_mode": "sk-proj-secret", "OPENAI_API_KEY": "x"})
    assert "secret" not in str(caught.value)


def test_the_account_is_the_one_that_is_written_there() -> None:
    """The JWTs may claim others: those count for policy."""
    ids = {name: token(own={"chatgpt_account_id": f"acct-{name}"}) for name in ("id", "access")}
    tokens = {"id_token": ids["id"], "access_token": ids["access"], "account_id": "acct-file"}
    record = login.record_of(chatgpt(tokens=tokens))
    assert record.account == "acct-file"
    assert record.workspaces == ("acct-file", "acct-id", "acct-access")


def test_blanks_around_what_is_sent_are_no_part_of_it() -> None:
    """As Codex's server reads it."""
    data = chatgpt(tokens={"access_token": f" {token()}\n", "account_id": " acct-1 "})
    headers = logins().credential(logins().read(data)).headers
    assert (headers["Authorization"], headers["ChatGPT-Account-ID"]) == (f"Bearer {token()}", "acct-1")


@pytest.mark.parametrize("account", [None, "", " "])
def test_a_login_without_account_has_none(account: str | None) -> None:
    """The header is left out, whatever the JWTs claim."""
    records = logins()
    record = records.read(chatgpt(tokens={"account_id": account}))
    assert record.account is None
    assert record.workspaces == ("acct-1",)
    assert list(records.credential(record).headers) == ["Authorization"]


@pytest.mark.parametrize(
    ("claims", "expires_at"),
    [
        ({}, NOW + 3600),
        ({"exp": NOW - 60}, NOW - 60),
        ({"exp": 1.5}, 1.5),
        ({"exp": (NOW + 3600) * 1000}, None),  # milliseconds
        ({"exp": "1800000000"}, None),
        ({"exp": True}, None),
        ({"exp": -1}, None),
        ({"exp": None}, None),
    ],
)
def test_the_access_token_says_when_it_expires(claims: dict[str, Any], expires_at: float | None) -> None:
    """What makes no sense says nothing."""
    assert login.record_of(chatgpt(tokens={"access_token": token(**claims)})).expires_at == expires_at


def test_an_opaque_access_token_does_not_say() -> None:
    """It is used all the same."""
    record = login.record_of(chatgpt(tokens={"access_token": "opaque"}))
    assert (record.token, record.expires_at) == ("opaque", None)


WITHOUT = [
    chatgpt(tokens={"refresh_token": ""}),
    chatgpt(tokens={"refresh_token": " "}),
    chatgpt(auth_mode="chatgptAuthTokens", tokens={"refresh_token": ""}),
    chatgpt(auth_mode="chatgptAuthTokens"),  # Codex never renews with it
]


@pytest.mark.parametrize("data", WITHOUT)
def test_without_a_refresh_token_a_login_is_used_until_it_expires(home: Any, data: dict[str, Any]) -> None:
    """Nobody is asked to renew it, and nobody to revoke it: its access token is in use where it comes from."""
    path, now = stored(home, data), NOW
    provider = home.provider(LAB, clock=lambda: now)
    assert provider.login is not None
    assert provider.credential().token == data["tokens"]["access_token"]
    assert (provider.login.stored().secret, logins().revocation(data)) == (None, None)
    found = provider.standing(provider.login)
    assert (found.state, found.usable) == ("present", True)
    assert found.hint == "nothing, until it expires: it cannot be renewed here; then keyfob login x"
    now += 3600
    with pytest.raises(NotSignedInError, match="has expired and cannot be renewed") as caught:
        provider.credential()
    assert caught.value.hint == "keyfob login x"
    assert provider.standing(provider.login).state == "expired"
    assert json.loads(Path(path).read_text()) == data


def test_signing_out_says_that_such_a_login_goes_on(home: Any) -> None:
    """Until it expires; after that there is nothing to say."""
    for now, still_valid in ((NOW, ("it cannot be revoked from here, and ends by itself",)), (NOW + 3600, ())):
        stored(home, WITHOUT[0])
        found = home.provider(LAB, clock=lambda now=now: now).login
        done = sign_out(found, [found.store])
        assert (len(done.removed), done.still_valid) == (1, still_valid)


def test_what_is_carried_to_another_machine_has_no_other_secret() -> None:
    """The access token with what it takes to use it, in the shape that Codex neither renews nor revokes."""
    data = chatgpt(tokens={"login_owner_id": "own", "new_secret": "s"}, OPENAI_API_KEY="sk-1", agent_identity="s")
    carried = logins().without_renewal(data)
    tokens = {name: data["tokens"][name] for name in ("id_token", "access_token")}
    assert list(carried.items()) == [
        ("auth_mode", "chatgptAuthTokens"),
        ("OPENAI_API_KEY", None),
        ("tokens", {**tokens, "refresh_token": "", "account_id": "acct-1"}),
        ("last_refresh", data["last_refresh"]),
    ]
    record = logins().read(carried)
    assert (record.token, record.secret, record.account) == (tokens["access_token"], None, "acct-1")
    for other in ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}, {"personal_access_token": "at-1"}):
        assert logins().without_renewal(other) == other


@pytest.mark.parametrize(
    ("value", "issued_at"),
    [
        ("2027-01-15T07:58:20.123456789Z", 1_799_999_900.123456),
        ("2027-01-15T07:58:20Z", 1_799_999_900.0),
        ("2027-01-15t07:58:20z", 1_799_999_900.0),
        ("2027-01-15T08:58:20+01:00", 1_799_999_900.0),
        ("2027-01-15T07:58:20", NOW - 100),  # of no time zone: the token's own `iat` counts
        (None, NOW - 100),
    ],
)
def test_the_last_refresh_says_how_old_it_is(value: str | None, issued_at: float) -> None:
    """A login without one can be used."""
    assert login.record_of(chatgpt(last_refresh=value)).issued_at == pytest.approx(issued_at)


def test_blanks_around_a_stored_key_are_trimmed() -> None:
    """An editor may have added them."""
    assert login.record_of({"auth_mode": "apikey", "OPENAI_API_KEY": " sk-1\n"}).token == "sk-1"


# Credentials


def test_a_chatgpt_login_sends_token_and_account() -> None:
    """And nothing else."""
    records, data = logins(), chatgpt()
    credential = records.credential(records.read(data))
    assert dict(credential.headers) == {
        "Authorization": f"Bearer {data['tokens']['access_token']}",
        "ChatGPT-Account-ID": "acct-1",
    }
    assert credential.expires_at == NOW + 3600
    assert credential.token == data["tokens"]["access_token"]


@pytest.mark.parametrize(("claim", "sent"), [(True, "true"), ("true", None), (False, None)])
def test_the_governments_cloud_gets_its_header(claim: object, sent: str | None) -> None:
    """By the id_token's claim."""
    records = logins()
    data = chatgpt(tokens={"id_token": token(own={"chatgpt_account_is_fedramp": claim})})
    assert records.credential(records.read(data)).headers.get("X-OpenAI-Fedramp") == sent


def test_an_api_key_is_sent_alone() -> None:
    """No account goes with it."""
    records = logins()
    credential = records.credential(records.read({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}))
    assert dict(credential.headers) == {"Authorization": "Bearer sk-1"}


@pytest.mark.parametrize(
    ("environ", "given", "variable"),
    [
        ({}, None, "CODEX_API_KEY"),
        ({"CODEX_API_KEY": " sk-1 "}, "sk-1", "CODEX_API_KEY"),
        ({"CODEX_API_KEY": "  ", "CODEX_ACCESS_TOKEN": "at-1"}, "at-1", "CODEX_ACCESS_TOKEN"),
        ({"CODEX_API_KEY": "sk-1", "CODEX_ACCESS_TOKEN": "at-1"}, "sk-1", "CODEX_API_KEY"),
        ({"OPENAI_API_KEY": "sk-1"}, None, "CODEX_API_KEY"),
    ],
)
def test_the_environments_key_goes_before_its_token(environ: dict[str, str], given: str | None, variable: str) -> None:
    """Blank is unset, and OPENAI_API_KEY is for others."""
    records = logins(environ)
    assert (records.environment_secret(), records.variable) == (given, variable)
    if given is not None:
        assert records.of_environment(given).token == given


@pytest.mark.parametrize("value", ["opaque", token(), "sk-1"])
def test_an_access_token_of_another_kind_is_refused(value: str) -> None:
    """It names the variable and not the token."""
    records = logins({"CODEX_ACCESS_TOKEN": value})
    with pytest.raises(CredentialError) as caught:
        records.of_environment(value)
    assert str(caught.value) == "CODEX_ACCESS_TOKEN is not a personal access token: those begin with at-"


@pytest.mark.parametrize(("value", "part"), [("sk-1\nsk-2", "a line break"), ("sk-é", "not ASCII")])
def test_a_key_that_cannot_be_sent_names_its_variable(value: str, part: str) -> None:
    """The key is not repeated."""
    records = logins({"CODEX_API_KEY": value})
    with pytest.raises(IllegalHeaderError) as caught:
        records.of_environment(value)
    assert "CODEX_API_KEY" in str(caught.value)
    assert part in str(caught.value)
    assert "sk-" not in str(caught.value)


# Personal access tokens


def asked(found: Answer | Exception, requests: list[Exchange]) -> Any:
    """A way to send that keeps what was sent."""

    def send(exchange: Exchange) -> Answer:
        requests.append(exchange)
        if isinstance(found, Exception):
            raise found
        return found

    return send


def test_whose_a_personal_access_token_is_its_issuer_is_asked_once() -> None:
    """By a request that needs it; what it says is used and told."""
    requests: list[Exchange] = []
    plugin, send = OpenAI(), asked(answer({**WHOAMI, "chatgpt_account_is_fedramp": True}), requests)
    context = Context(environ={}, clock=lambda: NOW, send=send)
    for provider in ("a", "b"):  # providers share the login, and so the answer
        records = plugin.records(ProviderInfo(provider, provider, None), NoOptions(), context)
        record = records.read(records.data_for("access-token", "at-1"))
        records.about(record)
        assert bool(requests) == (provider == "b")
        record = records.complete(records.complete(record))
        assert dict(records.credential(record).headers) == {
            "Authorization": "Bearer at-1",
            "ChatGPT-Account-ID": "acct-9",
            "X-OpenAI-Fedramp": "true",
        }
        about = records.about(record)
        assert (about.email, about.account, about.plan) == ("a@example.com", "acct-9", "team")
    (request,) = requests
    assert request.method == "GET"
    assert request.url == "https://auth.openai.com/api/accounts/v1/user-auth-credential/whoami"
    assert request.headers == {"Authorization": "Bearer at-1"}


def test_the_issuer_of_personal_access_tokens_can_be_another() -> None:
    """As for Codex."""
    requests: list[Exchange] = []
    records = logins({"CODEX_AUTHAPI_BASE_URL": "https://x.example/api/"}, asked(answer(WHOAMI), requests))
    records.complete(records.read(records.data_for("access-token", "at-1")))
    assert requests[0].url == "https://x.example/api/v1/user-auth-credential/whoami"


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (answer({}, 401), NotSignedInError),
        (answer({}, 403), NotSignedInError),
        (answer({}, 404), CredentialError),
        (answer(b"<html>", 200), CredentialError),
        (answer({"chatgpt_account_id": 5}), CredentialError),
        (answer(WHOAMI, 302), CredentialError),
        (UnreachableError("ConnectError"), CredentialError),
    ],
)
def test_a_token_that_nobody_knows_is_not_used(found: Answer | Exception, kind: type[Exception]) -> None:
    """Nor is the failure remembered as an answer."""
    requests: list[Exchange] = []
    records = logins({}, asked(found, requests))
    record = records.read(records.data_for("access-token", "at-1"))
    for _ in range(2):
        with pytest.raises(CredentialError) as caught:
            records.complete(record)
        assert type(caught.value) is kind
        assert "at-1" not in str(caught.value)
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({}, "keyfob login openai --with-access-token"),
        ({"CODEX_ACCESS_TOKEN": "at-1"}, "unset CODEX_ACCESS_TOKEN, or set it anew"),
    ],
)
def test_a_refused_token_is_to_be_mended_where_it_is_from(environ: dict[str, str], hint: str) -> None:
    """Whoever stores another does not reach the variable."""
    records = logins(environ, asked(answer({}, 401), []))
    with pytest.raises(NotSignedInError) as caught:
        records.complete(records.read(records.data_for("access-token", "at-1")))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("status", "hint"), [(429, "try again in a moment"), (503, "try again in a moment"), (404, None)]
)
def test_what_may_pass_is_to_be_tried_again(status: int, hint: str | None) -> None:
    """OpenAI is busy or down: nothing is wrong with the token."""
    records = logins({}, asked(answer({}, status), []))
    with pytest.raises(CredentialError) as caught:
        records.complete(records.read(records.data_for("access-token", "at-1")))
    assert caught.value.hint == hint


# Renewal


def sent(data: dict[str, Any], environ: dict[str, str] | None = None, reason: str = "proactive_expiry") -> Exchange:
    """The request that renews this login."""
    records = logins(environ)
    return records.exchange(records.read(data), reason)


def test_the_request_is_codexs_own() -> None:
    """Fields, order and all; nothing authenticates it but the token itself."""
    request = sent(chatgpt())
    assert request.url == "https://auth.openai.com/oauth/token"
    assert request.method == "POST"
    assert request.body == (
        b'{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token",'
        b'"refresh_reason":"proactive_expiry","refresh_token":"rt-1"}'
    )
    assert request.headers == {"Content-Type": "application/json", "originator": "keyfob"}
    assert request.timeout == 60.0
    assert "rt-1" not in repr(request)


@pytest.mark.parametrize(
    ("access_token", "reason", "told"),
    [
        (token(), "unauthorized_recovery", "unauthorized_recovery"),
        ("opaque", "unauthorized_recovery", "unauthorized_recovery"),
        ("opaque", "proactive_expiry", "scheduled"),
    ],
)
def test_the_issuer_is_told_why(access_token: str, reason: str, told: str) -> None:
    """A token without a time of expiry is renewed by its age."""
    body = json.loads(sent(chatgpt(tokens={"access_token": access_token}), reason=reason).body)
    assert body["refresh_reason"] == told


OTHER = {"issuer": "https://login.example/", "client_id": "app_other"}


@pytest.mark.parametrize(
    ("provenance", "environ", "url", "client_id"),
    [
        (OTHER, {}, "https://login.example/oauth/token", "app_other"),
        (OTHER, {rotation.REFRESH_URL: "https://y.example/t"}, "https://y.example/t", "app_other"),
        (OTHER, {rotation.OTHER_CLIENT_ID: "app_env"}, "https://login.example/oauth/token", "app_other"),
        (None, {rotation.OTHER_CLIENT_ID: "app_env"}, "https://auth.openai.com/oauth/token", "app_env"),
        (None, {rotation.OTHER_CLIENT_ID: " "}, "https://auth.openai.com/oauth/token", rotation.CLIENT_ID),
        ({"issuer": 5, "client_id": []}, {}, "https://auth.openai.com/oauth/token", rotation.CLIENT_ID),
        ("text", {}, "https://auth.openai.com/oauth/token", rotation.CLIENT_ID),
    ],
)
def test_where_a_login_comes_from_decides_where_it_is_renewed(
    provenance: object, environ: dict[str, str], url: str, client_id: str
) -> None:
    """But for the variable that names another URL."""
    request = sent(chatgpt(tokens={"oauth_provenance": provenance}), environ)
    assert (request.url, json.loads(request.body)["client_id"]) == (url, client_id)


def absorbed(data: dict[str, Any], document: dict[str, Any], environ: dict[str, str] | None = None) -> Any:
    """The login after this answer."""
    records = logins(environ)
    return records.absorb(records.read(data), document)


def test_new_tokens_take_the_place_of_the_old_and_all_else_stays() -> None:
    """In its order; the account too, whatever the new tokens claim."""
    data = {"first": 1, **chatgpt(tokens={"login_owner_id": "o", "own": {"deep": [1]}}), "last": {"x": None}}
    new = {
        "access_token": token(jti=2, own={"chatgpt_account_id": "acct-2"}),
        "id_token": token(jti=3),
        "refresh_token": "rt-2",
        "expires_in": 5,
    }
    found = absorbed(data, new)
    tokens = {**data["tokens"], **{name: new[name] for name in ("id_token", "access_token", "refresh_token")}}
    expected = {**data, "tokens": tokens, "last_refresh": "2027-01-15T08:00:00.000000000Z"}
    assert json.dumps(found) == json.dumps(expected)
    assert found["tokens"]["account_id"] == "acct-1"


@pytest.mark.parametrize("missing", ["access_token", "refresh_token", "id_token"])
@pytest.mark.parametrize("instead", [None, "", " ", 5, ["x"]])
def test_what_an_answer_lacks_stays_as_it_was(missing: str, instead: object) -> None:
    """A new refresh token is kept, whatever else is wrong: the old one is spent."""
    data = chatgpt()
    new = {"access_token": token(jti=2), "id_token": token(jti=3), "refresh_token": "rt-2", missing: instead}
    tokens = absorbed(data, new)["tokens"]
    assert tokens[missing] == data["tokens"][missing]
    assert all(tokens[name] == new[name] for name in new if name != missing)


def test_an_access_token_that_cannot_be_sent_is_not_kept() -> None:
    """The old one has ended, so what came beside this renews the login next."""
    data = chatgpt()
    tokens = absorbed(data, {"access_token": "at\n", "refresh_token": "rt-2"})["tokens"]
    assert tokens == {**data["tokens"], "refresh_token": "rt-2"}


def test_an_id_token_that_cannot_be_read_is_not_kept() -> None:
    """The login could not be read any more."""
    data = chatgpt()
    tokens = absorbed(data, {"id_token": "not-a-jwt", "access_token": "at", "refresh_token": "rt-2"})["tokens"]
    assert tokens == {**data["tokens"], "access_token": "at", "refresh_token": "rt-2"}


@pytest.mark.parametrize("document", [{}, {"id_token": token()}, {"error": "x"}, {"access_token": None}])
def test_an_answer_without_tokens_is_no_login(document: dict[str, Any]) -> None:
    """Nothing is written."""
    with pytest.raises(ValueError, match="neither an access_token nor a refresh_token"):
        absorbed(chatgpt(), document)


@pytest.mark.parametrize(
    ("override", "kept"),
    [(None, True), ("https://login.example/oauth/token", True), ("https://login.example.evil/oauth/token", False)],
)
def test_tokens_of_another_issuer_are_not_said_to_be_of_the_first(override: str | None, kept: bool) -> None:
    """The owner of the login stays."""
    data = chatgpt(tokens={"oauth_provenance": OTHER, "login_owner_id": "owner"})
    environ = {} if override is None else {rotation.REFRESH_URL: override}
    tokens = absorbed(data, {"access_token": "at"}, environ)["tokens"]
    assert ("oauth_provenance" in tokens) == kept
    assert tokens["login_owner_id"] == "owner"


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("code", ["refresh_token_expired", "refresh_token_reused", "Refresh_Token_Invalidated"])
@pytest.mark.parametrize(
    "shape", [lambda code: {"error": {"code": code}}, lambda code: {"error": code}, lambda code: {"code": code}]
)
def test_an_issuer_says_by_a_code_that_a_login_is_dead(status: int, code: str, shape: Any) -> None:
    """In any of three places, in any case."""
    assert logins().refusal(answer(shape(code), status)) == code.lower()


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        ({"error": "invalid_grant"}, 400, "invalid_grant"),
        ({"error": "invalid_client"}, 401, "invalid_client"),
        # Not as RFC 6749 writes it
        ({"error": {"code": "invalid_grant"}}, 400, None),
        ({"code": "invalid_grant"}, 400, None),
        ({"error": "invalid_request"}, 400, None),
        # Any other refusal may pass
        ({"error": {"code": "something_else"}}, 401, None),
        (b"", 401, None),
        (b"<html>log in to the airport</html>", 401, None),
        ([], 403, None),
        ({"error": {"code": 5}, "code": ["x"]}, 400, None),
        # What a proxy or a broken server says is none
        ({"error": "invalid_grant"}, 500, None),
        ({"error": {"code": "refresh_token_reused"}}, 407, None),
        ({"error": {"code": "refresh_token_reused"}}, 429, None),
    ],
)
def test_nothing_else_ends_a_login(document: Any, status: int, code: str | None) -> None:
    """`invalid_client` is for core to tell apart."""
    assert logins().refusal(answer(document, status)) == code


# Revocation


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "https://login.example/oauth/revoke"),
        ({rotation.REVOKE_URL: "https://r.example/x"}, "https://r.example/x"),
        ({rotation.REFRESH_URL: "https://t.example/a/token?q=1"}, "https://t.example/oauth/revoke"),
        (
            {rotation.REVOKE_URL: "https://r.example/x", rotation.REFRESH_URL: "https://t.example"},
            "https://r.example/x",
        ),
        ({rotation.REFRESH_URL: "http://[broken"}, "http://[broken"),
    ],
)
def test_a_chatgpt_login_is_revoked_where_it_comes_from(environ: dict[str, str], url: str) -> None:
    """No other issuer gets its token, but for a variable that names one."""
    request = logins(environ).revocation(chatgpt(tokens={"oauth_provenance": OTHER}))
    assert request is not None
    assert request.url == url
    assert request.body == (b'{"token":"rt-1","token_type_hint":"refresh_token","client_id":"app_other"}')
    assert request.timeout == 10.0


def test_a_login_that_does_not_say_where_it_comes_from_is_revoked_at_openai() -> None:
    """By Codex's own client, as Codex does, or the one of its variable."""
    for environ, client_id in ({}, "app_EMoamEEZ73f0CkXaXp7hrann"), ({rotation.OTHER_CLIENT_ID: "app_env"}, "app_env"):
        request = logins(environ).revocation(chatgpt())
        assert request is not None
        assert request.url == "https://auth.openai.com/oauth/revoke"
        assert json.loads(request.body)["client_id"] == client_id


@pytest.mark.parametrize(
    "data",
    [
        {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"},
        chatgpt(auth_mode="apikey", OPENAI_API_KEY="sk-1"),
        {"personal_access_token": "at-1"},
        {"auth_mode": "zzz", "tokens": {"refresh_token": "rt-1"}},
        {},
    ],
)
def test_other_logins_cannot_be_revoked(data: dict[str, Any]) -> None:
    """Nothing is sent for them."""
    assert logins().revocation(data) is None


def test_what_an_issuer_answered_is_revoked_by_itself() -> None:
    """Where the login that it renewed is gone."""
    request = logins().revocation({"access_token": "at", "refresh_token": "rt-2"})
    assert request is not None
    assert json.loads(request.body)["token"] == "rt-2"
    assert logins().revocation({"access_token": "at", "refresh_token": 2}) is None


# What is told


def test_a_chatgpt_login_tells_whose_it_is() -> None:
    """By the id_token; no part of a token shows."""
    records = logins()
    about = records.about(records.read(chatgpt()))
    assert (about.method, about.masked) == ("ChatGPT", None)
    assert (about.email, about.account, about.workspace) == ("somebody@example.com", "acct-1", "acct-1")
    assert about.plan == "pro"
    assert about.controls is not None
    assert "ChatGPT workspace" in about.controls


def test_an_api_key_tells_little() -> None:
    """Its ends, and whose rules hold for it."""
    records = logins()
    about = records.about(records.read({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-proj-1234567890ABCDEFGHIJ"}))
    assert (about.method, about.masked) == ("API key", "sk-proj-***FGHIJ")
    assert about.account is None
    assert about.controls is not None
    assert "API organization" in about.controls


def test_the_email_may_be_in_the_profile() -> None:
    """Where OpenAI's other tokens have it."""
    records = logins()
    id_token = token(**{"email": None, "https://api.openai.com/profile": {"email": "p@example.com"}})
    assert records.about(records.read(chatgpt(tokens={"id_token": id_token}))).email == "p@example.com"


# With a provider


LAB = '[model_providers.x]\nbase_url = "http://127.0.0.1:1/v1"\nrequires_openai_auth = true\n'


def stored(home: Any, data: Any) -> str:
    """Write auth.json; its path."""
    path: str = home.write(data if isinstance(data, str) else json.dumps(data), "auth.json")
    os.chmod(path, 0o600)
    return path


@pytest.mark.parametrize(
    ("data", "environ", "base_url"),
    [
        (None, {}, "https://api.openai.com/v1"),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}, {}, "https://api.openai.com/v1"),
        (chatgpt(), {}, "https://chatgpt.com/backend-api/codex"),
        (chatgpt(), {"CODEX_API_KEY": "sk-1"}, "https://api.openai.com/v1"),
        ({"personal_access_token": "at-1"}, {}, "https://chatgpt.com/backend-api/codex"),
        (None, {"CODEX_ACCESS_TOKEN": "at-1"}, "https://chatgpt.com/backend-api/codex"),
    ],
)
def test_the_login_decides_where_requests_go(home: Any, data: Any, environ: dict[str, str], base_url: str) -> None:
    """Unless the entry says; nobody is asked for it."""
    if data is not None:
        stored(home, data)
    home.environ.update(environ)
    assert str(home.provider("", "openai").base_url) == base_url


# A login and where its requests go


API, CHATGPT = "https://api.openai.com/v1", "https://chatgpt.com/backend-api/codex"


def test_who_signs_in_while_the_program_runs_goes_to_the_right_place(home: Any) -> None:
    """Nothing was settled while nobody had."""
    provider = home.provider("", "openai", clock=lambda: NOW)
    with pytest.raises(NotSignedInError):
        provider.headers()
    stored(home, chatgpt())
    assert "ChatGPT-Account-ID" in provider.headers()
    assert str(provider.base_url) == str(provider.signing.base_url) == CHATGPT


def test_a_client_made_before_does_not_send_a_login_elsewhere(home: Any) -> None:
    """Its base URL stays what it was; a login for that very URL is sent."""
    provider = home.provider("", "openai", clock=lambda: NOW)
    before = provider.signing
    stored(home, chatgpt())
    for _ in range(2):
        with pytest.raises(AccountChangedError) as caught:
            before.headers()
        assert str(caught.value) == f"openai: this was made for {API}, and the login there is now is for {CHATGPT}"
    home.environ["CODEX_API_KEY"] = "sk-1"
    assert dict(before.headers()) == {"Authorization": "Bearer sk-1"}


def test_a_key_set_later_does_not_go_where_the_login_went(home: Any) -> None:
    """Not by headers, and not by name."""
    stored(home, chatgpt())
    provider = home.provider("", "openai", clock=lambda: NOW)
    provider.headers()
    home.environ["CODEX_API_KEY"] = "sk-1"
    for ask in (provider.headers, provider.credential):
        with pytest.raises(AccountChangedError):
            ask()
    assert str(provider.base_url) == CHATGPT


def test_a_client_sends_nothing_with_the_login_of_another_place(home: Any) -> None:
    """No answer can make it spend a refresh token."""
    requests: list[Any] = []
    provider = home.provider("", "openai", clock=lambda: NOW)
    with keyfob.httpx.Client(provider, transport=httpx.MockTransport(requests.append)) as client:
        stored(home, chatgpt())
        with pytest.raises(AccountChangedError):
            client.get("models")
    assert not requests


def test_a_login_that_cannot_be_read_settles_nothing(home: Any) -> None:
    """`explain` says what is wrong with it, and whoever mends it is served."""
    path = stored(home, "{broken")
    provider = home.provider("", "openai", clock=lambda: NOW)
    for ask in (provider.credential, lambda: provider.base_url):
        with pytest.raises(DamagedLoginError):
            ask()
    explained = provider.explain()
    assert explained.base_url is None
    assert [path in fault for fault in explained.faults] == [True]
    stored(home, chatgpt())
    assert str(provider.base_url) == CHATGPT
    assert provider.credential().headers["ChatGPT-Account-ID"] == "acct-1"


def test_where_the_entry_says_the_place_every_login_goes_there(home: Any) -> None:
    """Another kind of it too."""
    stored(home, chatgpt())
    provider = home.provider(LAB, clock=lambda: NOW)
    provider.headers()
    home.environ["CODEX_API_KEY"] = "sk-1"
    assert dict(provider.headers()) == {"Authorization": "Bearer sk-1"}


def test_a_damaged_login_names_its_file(home: Any) -> None:
    """And what is wrong with it."""
    path = stored(home, chatgpt(tokens={"id_token": "zzz"}))
    with pytest.raises(DamagedLoginError) as caught:
        home.provider(LAB).credential()
    assert str(caught.value) == f"{path}: the stored OpenAI login cannot be used: tokens.id_token is not a JWT"


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_could_not_be_written_again_is_damaged(home: Any, number: str) -> None:
    """Python takes these numbers; JSON, and so Codex, does not."""
    path = stored(home, json.dumps(chatgpt(x=1)).replace('"x": 1', f'"x": {number}'))
    with pytest.raises(DamagedLoginError) as caught:
        home.provider(LAB).credential()
    assert str(caught.value) == f"{path} is not JSON that can be read"


@pytest.mark.parametrize(("key", "part"), [("sk-1\nsk-2", "a line break"), ("sk-é", "not ASCII")])
def test_a_stored_key_that_cannot_be_sent_names_its_file(home: Any, key: str, part: str) -> None:
    """The key is not repeated."""
    path = stored(home, {"auth_mode": "apikey", "OPENAI_API_KEY": key})
    with pytest.raises(IllegalHeaderError) as caught:
        home.provider(LAB).credential()
    assert path in str(caught.value)
    assert part in str(caught.value)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("url", ["garbage", "http://[broken", "http://issuer.example/revoke"])
def test_an_issuer_that_cannot_be_reached_keeps_nobody_from_signing_out(home: Any, url: str) -> None:
    """It is said that the login may still be valid, and why."""
    path = stored(home, chatgpt())
    home.environ[rotation.REVOKE_URL] = url
    signed_in = home.provider(LAB).login
    done = sign_out(signed_in, [signed_in.store])
    assert done.removed == (path,)
    assert not os.path.exists(path)
    (why,) = done.still_valid
    assert why.startswith(rotation.REVOKE_URL)


def test_an_expired_login_is_renewed_and_every_field_kept(home: Any) -> None:
    """As the issuer answers it; the file stays private and has no newline at its end."""
    with Issuer() as issuer:
        home.environ.update(issuer.environ)
        data = {**issuer.login(expires_in=-1), "own": [1, 2]}
        path = stored(home, data)
        credential = home.provider(LAB).credential()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    after = json.loads(text)
    assert text == json.dumps(after, indent=2)
    assert list(after) == list(data)
    assert after["own"] == [1, 2]
    assert credential.token == after["tokens"]["access_token"] != data["tokens"]["access_token"]
    assert issuer.is_current(after["tokens"]["refresh_token"])
    (presented,) = issuer.presented
    assert presented.headers["content-type"] == "application/json"
    assert "authorization" not in presented.headers
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_new_refresh_token_beside_a_broken_id_token_is_not_lost(home: Any) -> None:
    """The next renewal presents the new one."""

    def broken(issuer: Issuer, fields: dict[str, Any]) -> tuple[int, Any]:
        status, body = issuer.renewed(fields)
        return status, {**body, "id_token": "not-a-jwt"}

    with Issuer(answers=[broken]) as issuer:
        home.environ.update(issuer.environ)
        path = stored(home, issuer.login(expires_in=-1))
        home.provider(LAB).credential()
        with open(path, encoding="utf-8") as file:
            assert issuer.is_current(json.load(file)["tokens"]["refresh_token"])
        assert not issuer.reused


def test_a_renewal_changes_whose_login_it_is_in_no_case() -> None:
    """The record's owner is the account of the file."""
    records = logins()
    record = records.read(chatgpt())
    other = token(own={"chatgpt_account_id": "acct-2"})
    assert records.read(records.absorb(record, {"access_token": other})).whose == record.whose
    assert replace(record, account="acct-2").whose != record.whose


def test_the_built_in_provider_names_organization_and_project(home: Any) -> None:
    """With either kind of login; what is not set is not sent."""
    stored(home, chatgpt())
    home.environ.update(OPENAI_ORGANIZATION="org-1", OPENAI_PROJECT=" ")
    headers = home.host("", clock=lambda: NOW).provider("openai").headers()
    assert headers["OpenAI-Organization"] == "org-1"
    assert sorted(headers) == ["Authorization", "ChatGPT-Account-ID", "OpenAI-Organization"]
