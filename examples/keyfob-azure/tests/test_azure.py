"""Tokens of Entra ID's, from token servers on loopback that azure-identity is sent to by its own settings."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import keyfob.httpx
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from entra import Entra, granted, managed, refused
from keyfob import Host
from keyfob.errors import CredentialError, MissingCredentialError
from keyfob.testing import Answer, ModelServer

TEAM = {"AZURE_TENANT_ID": "contoso", "AZURE_CLIENT_ID": "team"}
SERVICE = {**TEAM, "AZURE_CLIENT_SECRET": "the-client-secret"}

Hosted = Callable[..., Host]
Started = Callable[..., Entra]


def form(body: bytes) -> dict[str, str]:
    """What was posted."""
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def test_a_service_principal_gets_a_token_and_another_one_after_a_401(hosted: Hosted, entra: Started) -> None:
    """The model refuses the first token and is sent the second: azure-identity had not kept the first for it."""
    issuer = entra(granted("first"), granted("second"))
    with ModelServer(accepts=lambda got: got.header("authorization") == "Bearer second") as model:
        provider = hosted({**SERVICE, **issuer.environ}, base_url=model.base_url).provider("corp")
        with keyfob.httpx.Client(provider) as client:
            assert client.get("models").status_code == 200
    asked = [form(request.body) for request in issuer.asked]
    assert [one["client_secret"] for one in asked] == ["the-client-secret"] * 2
    assert (asked[0]["client_id"], asked[0]["scope"]) == ("team", "https://cognitiveservices.azure.com/.default")


def test_an_expiry_is_told_by_the_clock_of_the_context(hosted: Hosted, entra: Started) -> None:
    """A token that lasts an hour lasts an hour from now, whatever time azure-identity takes it to be."""
    issuer = entra(granted("t", lasts=3600))
    credential = hosted({**SERVICE, **issuer.environ}, clock=lambda: 5000.0).provider("corp").credential()
    assert credential.expires_at == pytest.approx(8600, abs=5)


def test_the_variables_may_stand_in_dotenv(hosted: Hosted, entra: Started, tmp_path: Path) -> None:
    """azure-identity itself looks at os.environ alone; it is handed what keyfob's `.env` holds."""
    issuer = entra(granted("t"))
    host = hosted(issuer.environ)
    (tmp_path / "home" / ".env").write_text("".join(f"{name}={value}\n" for name, value in SERVICE.items()))
    assert host.provider("corp").credential().token == "t"


def test_a_certificate_signs_for_its_service_principal(
    hosted: Hosted, entra: Started, authority: trustme.CA, tmp_path: Path
) -> None:
    """The assertion bears the signature of the certificate's key, and is meant for the token endpoint."""
    issuer, pem = entra(granted("t")), tmp_path / "team.pem"
    certificate = authority.issue_cert("team.example", key_type=trustme.KeyType.RSA)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    environ = {**TEAM, "AZURE_CLIENT_CERTIFICATE_PATH": str(pem), **issuer.environ}
    provider = hosted(environ).provider("corp")
    assert (provider.state().comes_from, provider.state().summary) == ("client certificate", "ready")
    assert provider.credential().token == "t"
    public = load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_key()
    assert isinstance(public, RSAPublicKey)
    asked = form(issuer.asked[0].body)["client_assertion"]
    algorithm = jwt.get_unverified_header(asked)["alg"]
    assert jwt.decode(asked, public, algorithms=[algorithm], audience=issuer.token_url)["iss"] == "team"


def test_a_workload_identity_presents_the_token_of_its_cluster(hosted: Hosted, entra: Started, tmp_path: Path) -> None:
    """The file is read anew for each token, as Kubernetes writes it anew."""
    issuer, file = entra(granted("t1"), granted("t2")), tmp_path / "federated"
    file.write_text("from-the-cluster")
    provider = hosted({**TEAM, "AZURE_FEDERATED_TOKEN_FILE": str(file), **issuer.environ}).provider("corp")
    first = provider.credential()
    file.write_text("a-later-one")
    assert provider.source.get(rejected=first).token == "t2"
    assert [form(one.body)["client_assertion"] for one in issuer.asked] == ["from-the-cluster", "a-later-one"]


def test_a_service_with_a_managed_identity_is_asked_for_it(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of App Service select it; a client id picks one of several."""
    with ModelServer(answers={"/msi": [managed("t1"), managed("t2")]}) as issuer:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{issuer.origin}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "the-header-secret")
        provider = hosted(dict(os.environ), 'client_id = "one-of-two"').provider("corp")
        assert provider.state().comes_from == "managed identity"
        first = provider.credential()
        assert provider.source.get(rejected=first).token == "t2"
        asked = issuer.received[0]
    assert asked.header("x-identity-header") == "the-header-secret"
    assert parse_qs(asked.query)["resource"] == ["https://cognitiveservices.azure.com"]
    assert parse_qs(asked.query)["client_id"] == ["one-of-two"]


@pytest.mark.parametrize("options", ["managed_identity = true", "", 'managed_identity = "mine"'])
def test_a_virtual_machine_has_a_managed_identity(
    options: str, hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metadata service is asked where the table says so, and looked for where nothing else is configured."""
    path = "/metadata/identity/oauth2/token"
    with ModelServer(answers={path: [managed("t")]}) as machine:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.origin)
        assert hosted(dict(os.environ), options).provider("corp").credential().token == "t"
        assert parse_qs(machine.received[-1].query).get("client_id") == (["mine"] if "mine" in options else None)


@pytest.mark.skipif(os.name == "nt", reason="`az` is a script for a shell")
def test_azure_cli_is_asked_where_nothing_is_configured(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With `managed_identity = false` nothing is looked for; where nobody is signed in, the error says how to."""
    az = tmp_path / "az"
    az.write_text("#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    provider = hosted(dict(os.environ), "managed_identity = false").provider("corp")
    assert (provider.state().comes_from, provider.state().summary) == ("Azure CLI", "asked when used")
    with pytest.raises(CredentialError, match="Azure CLI: CredentialUnavailableError") as raised:
        provider.credential()
    assert raised.value.hint == "az login"
    az.write_text('#!/bin/sh\necho \'{"accessToken": "of-az", "expires_on": 4102444800}\'\n')
    assert provider.credential().token == "of-az"


def test_nothing_is_printed_beside_the_error(hosted: Hosted, tmp_path: Path) -> None:
    """azure-identity logs warnings, which Python prints where nobody listens to its logger."""
    hosted({}, "managed_identity = false")
    environ = {"CODEX_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "PATH": str(tmp_path)}
    if "SYSTEMROOT" in os.environ:
        environ["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    command = [sys.executable, "-m", "keyfob", "token", "corp"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["keyfob", "  → az login"]


def test_what_is_half_configured_is_told_and_nobody_else_asked(hosted: Hosted) -> None:
    """A secret without its tenant does not fall through to whoever has a token."""
    provider = hosted({"AZURE_CLIENT_ID": "team", "AZURE_CLIENT_SECRET": "s"}).provider("corp")
    assert provider.state().summary == "`AZURE_TENANT_ID` not set"
    with pytest.raises(MissingCredentialError, match="AZURE_TENANT_ID"):
        provider.credential()


BAD = {
    "AADSTS7000215": refused("AADSTS7000215", "Invalid client secret provided: 'the-client-secret'."),
    "localhost answered 200 and no JSON object": Answer(200, {"Content-Type": "text/html"}, "<p>the-client-secret</p>"),
    "localhost did not answer": Answer(close=True),
    "ClientAuthenticationError": Answer(body={"surprise": "the-client-secret"}),
}


@pytest.mark.parametrize("said", BAD)
def test_what_goes_wrong_is_told_without_a_word_of_the_answer(said: str, hosted: Hosted, entra: Started) -> None:
    """Entra ID's code is; its description, which may hold anything, is not."""
    issuer = entra(BAD[said])
    with pytest.raises(CredentialError, match=f"client secret: .*({said})") as raised:
        hosted({**SERVICE, **issuer.environ}).provider("corp").credential()
    assert "the-client-secret" not in f"{raised.value} {raised.value.hint}"
    assert raised.value.hint == "az ad app credential reset --id CLIENT_ID"


def test_no_redirect_is_followed(hosted: Hosted, entra: Started) -> None:
    """The secret would go where the issuer's answer says."""
    with ModelServer() as elsewhere:
        issuer = entra(Answer(307, {"Location": f"{elsewhere.origin}/token"}))
        with pytest.raises(CredentialError):
            hosted({**SERVICE, **issuer.environ}).provider("corp").credential()
        assert not elsewhere.received


def test_the_library_logs_no_secret(hosted: Hosted, entra: Started, caplog: pytest.LogCaptureFixture) -> None:
    """Not of a success, not of a failure, at the lowest level."""
    caplog.set_level(logging.DEBUG)
    issuer = entra(granted("the-token"), Answer(body="<p>the-page</p>"))
    provider = hosted({**SERVICE, **issuer.environ}).provider("corp")
    first = provider.credential()
    with pytest.raises(CredentialError):
        provider.source.get(rejected=first)
    assert "POST" in caplog.text
    assert not any(secret in caplog.text for secret in ("the-token", "the-client-secret", "the-page"))
