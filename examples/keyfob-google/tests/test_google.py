"""Tokens of Google's, from token servers on loopback that google-auth is sent to by its own settings."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import keyfob.httpx
import pytest
import trustme
from conftest import ServiceAccount
from cryptography.hazmat.primitives import serialization
from google_server import Proxy
from keyfob import Host
from keyfob.errors import ConfigError, CredentialError
from keyfob.testing import Answer, ModelServer, Received

Hosted = Callable[..., Host]
USER = {
    "type": "authorized_user",
    "client_id": "gcloud",
    "client_secret": "the-client-secret",
    "refresh_token": "the-refresh-token",
    "quota_project_id": "who-pays",
}


def granted(token: str, lasts: int = 3600) -> Answer:
    """A token of Google's."""
    return Answer(body={"access_token": token, "expires_in": lasts, "token_type": "Bearer"})


def form(body: bytes) -> dict[str, str]:
    """What was posted."""
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def test_a_service_account_signs_for_a_token_and_for_another_one_after_a_401(
    hosted: Hosted, account: ServiceAccount, tmp_path: Path
) -> None:
    """Each assertion bears the signature of the key in the file; the model gets the second token."""
    from google.auth import jwt

    def accepts(got: Received) -> bool:
        return got.path == "/token" or got.header("authorization") == "Bearer second"

    with ModelServer(answers={"/token": [granted("first"), granted("second")]}, accepts=accepts) as server:
        file = account.write(tmp_path, f"{server.origin}/token")
        host = hosted({"GOOGLE_APPLICATION_CREDENTIALS": file}, base_url=server.base_url)
        with keyfob.httpx.Client(host.provider("corp")) as client:
            assert client.get("models").status_code == 200
        asked = [form(one.body) for one in server.received if one.path == "/token"]
    assert [one["grant_type"] for one in asked] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"] * 2
    public = account.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims: dict[str, str] = jwt.decode(  # type: ignore[no-untyped-call]
        asked[0]["assertion"], certs=public, audience="https://oauth2.googleapis.com/token"
    )
    assert claims["iss"] == "team@nobodys.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_an_expiry_is_told_by_the_clock_of_the_context(
    hosted: Hosted, account: ServiceAccount, tmp_path: Path, antipodes: None
) -> None:
    """An hour is an hour from now, also far from Greenwich: google-auth's expiry is UTC and does not say so."""
    with ModelServer(answers={"/token": [granted("t", 3600)]}) as issuer:
        file = account.write(tmp_path, f"{issuer.origin}/token")
        host = hosted({}, f"credentials_file = {json.dumps(file)}", clock=lambda: 5000.0)
        assert host.provider("corp").credential().expires_at == pytest.approx(8600, abs=5)


def test_a_user_is_found_where_gcloud_leaves_the_login(hosted: Hosted, tmp_path: Path) -> None:
    """Google is asked through the proxy, by the certificates that the user trusts; the project that pays is sent."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud" / "application_default_credentials.json").write_text(json.dumps(USER))
    with ModelServer(answers={"/token": [granted("t")]}) as google:
        proxy = Proxy(authority, int(google.origin.rpartition(":")[2]))
        Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        environ = {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "HTTPS_PROXY": proxy.url}
        credential = hosted({**environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}).provider("corp").credential()
        proxy.shutdown()
        proxy.server_close()
        asked = form(google.received[0].body)
    assert proxy.connected == ["oauth2.googleapis.com:443"]
    assert (asked["refresh_token"], asked["client_secret"]) == ("the-refresh-token", "the-client-secret")
    assert dict(credential.headers) == {"Authorization": "Bearer t", "x-goog-user-project": "who-pays"}
    assert credential.token == "t"


def token_of(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `keyfob token` says, as a process: google-auth reads where the metadata server is when it is imported."""
    command = [sys.executable, "-W", "error", "-m", "keyfob", "token", "corp"]
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(command, env={**kept, **environ}, capture_output=True, text=True, timeout=60)


def test_a_machine_of_googles_asks_its_metadata_server(configured: Callable[..., dict[str, str]]) -> None:
    """No proxy is asked for it; the project that pays may stand in the table."""
    accounts = "/computeMetadata/v1/instance/service-accounts/default"
    answers = {f"{accounts}/": [Answer(body={"email": "default", "scopes": []})], f"{accounts}/token": [granted("t")]}
    with ModelServer(answers=answers) as machine:
        environ = configured() | {"GCE_METADATA_HOST": machine.origin.removeprefix("http://")}
        done = token_of(environ | {"HTTP_PROXY": "http://127.0.0.1:9"})
        assert all(one.header("metadata-flavor") == "Google" for one in machine.received)
    assert (done.stdout, done.stderr) == ("t\n", "")


def test_where_there_is_nothing_the_error_says_how_to_sign_in(configured: Callable[..., dict[str, str]]) -> None:
    """At once: google-auth by itself would look for a metadata server for many seconds."""
    done = token_of(configured() | {"GCE_METADATA_HOST": "127.0.0.1:9"})
    assert done.returncode == 1
    assert "no metadata server" in done.stderr
    assert "gcloud auth application-default login" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("{", "holds no credentials"),
        ('{"type": "external_account_authorized_user"}', "holds no credentials"),
        ('{"type": "service_account", "private_key": "the-secret"}', "holds no credentials"),
    ],
)
def test_a_file_that_is_no_use_is_named(text: str | None, said: str, hosted: Hosted, tmp_path: Path) -> None:
    """With what is wrong, and without what is in it."""
    file = tmp_path / "team.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CredentialError, match=said) as raised:
        hosted({"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).provider("corp").credential()
    assert str(file) in str(raised.value)
    assert "the-secret" not in str(raised.value)


BAD = {
    "invalid_grant": Answer(400, body={"error": "invalid_grant", "error_description": "the-secret was revoked"}),
    "answered 200 and no JSON object": Answer(200, {"Content-Type": "text/html"}, "<p>the-secret</p>"),
    "answered 302 and no JSON object": Answer(302, {"Location": "/elsewhere"}, "the-secret"),
    "127.0.0.1 did not answer": Answer(close=True),
}


@pytest.mark.parametrize("said", BAD)
def test_what_goes_wrong_is_told_without_a_word_of_the_answer(
    said: str, hosted: Hosted, account: ServiceAccount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The standard code is, its description is not, also not in the log; and no redirect is followed."""
    caplog.set_level(logging.DEBUG)
    with ModelServer(answers={"/token": [BAD[said]]}) as issuer:
        file = account.write(tmp_path, f"{issuer.origin}/token")
        with pytest.raises(CredentialError, match=said) as raised:
            hosted({"GOOGLE_APPLICATION_CREDENTIALS": file}).provider("corp").credential()
        assert {one.path for one in issuer.received} == {"/token"}
    assert "the-secret" not in f"{raised.value} {raised.value.hint} {caplog.text}"
    assert said.startswith(("answered", "127")) or "service-accounts keys" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("options", "host"),
    [
        (
            'project = "nobodys"',
            "https://aiplatform.googleapis.com/v1/projects/nobodys/locations/global/endpoints/openapi",
        ),
        (
            'project = "nobodys"\nlocation = "europe-west4"',
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/nobodys/locations/europe-west4/endpoints/openapi",
        ),
    ],
)
def test_project_and_location_make_the_base_url(options: str, host: str, hosted: Hosted) -> None:
    """Vertex AI's endpoint for OpenAI's clients; an entry's own base URL goes before it."""

    def url(given: str | None) -> str:
        return str(hosted({}, options, given).provider("corp").base_url)

    assert url(None) == host
    assert url("https://c.example/v1") == "https://c.example/v1"


def test_without_project_and_base_url_there_is_nowhere_to_go(hosted: Hosted) -> None:
    """The error names both."""
    with pytest.raises(ConfigError, match=r"google\.project"):
        _ = hosted({}, "", None).provider("corp").base_url
