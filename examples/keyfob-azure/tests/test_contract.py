"""The contract of plugins, with the managed identity of App Service, and with a service principal."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import trustme
from entra import DESCRIPTION, TOKEN, Tls
from keyfob.testing.contract import Answer, Contract, NastyIssuer, Received
from keyfob.testing.contract.trial import Trial


class TestManagedIdentity(Contract):
    key = "azure"
    optional = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")  # others are asked without

    def environ(self, issuer: NastyIssuer) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": f"{issuer.url}/msi", "IDENTITY_HEADER": "the-header-secret"}

    @pytest.fixture(autouse=True)
    def in_this_process(self, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
        """azure-identity looks for a managed identity in os.environ alone."""
        for name, value in trial.environ.items():
            monkeypatch.setenv(name, value)

    def speak(self, issuer: NastyIssuer, asked: Received) -> Answer:
        assert asked.header("x-identity-header") == "the-header-secret"
        grant = issuer.grant()
        lasts = grant.expires_in
        until = str(int(time.time()) + lasts) if isinstance(lasts, int) else lasts
        return Answer(body={"access_token": grant.token, "expires_on": until, "token_type": "Bearer"})


class TestServicePrincipal(Contract):
    key = "azure"
    public = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
    optional = ("AZURE_AUTHORITY_HOST", "AZURE_CLIENT_SECRET", "CODEX_CA_CERTIFICATE")  # others are asked without
    tls: Tls
    trusted: str

    @pytest.fixture(autouse=True)
    def behind_tls(self, authority: trustme.CA, tmp_path: Path) -> Iterator[None]:
        """azure-identity sends no secret without; the kit's issuer speaks http."""
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        self.trusted, self.tls = str(tmp_path / "ca.pem"), Tls(authority)
        Thread(target=self.tls.serve_forever, args=(0.02,), daemon=True).start()
        yield
        self.tls.shutdown()
        self.tls.server_close()

    def environ(self, issuer: NastyIssuer) -> dict[str, str]:
        self.tls.port = int(issuer.url.rpartition(":")[2])
        issuer.also |= {f"{host}:{self.tls.server_address[1]}" for host in ("localhost", "127.0.0.1")}
        return {
            "AZURE_TENANT_ID": "contoso",
            "AZURE_CLIENT_ID": "the-team",
            "AZURE_AUTHORITY_HOST": self.tls.url,
            "AZURE_CLIENT_SECRET": "the-client-secret",
            "CODEX_CA_CERTIFICATE": self.trusted,
        }

    def speak(self, issuer: NastyIssuer, asked: Received) -> Answer:
        if asked.path == DESCRIPTION:
            url = self.tls.url
            return Answer(body={"authorization_endpoint": f"{url}/authorize", "token_endpoint": url + TOKEN})
        grant = issuer.grant()
        lasts = {} if grant.expires_in is None else {"expires_in": grant.expires_in}
        return Answer(body={"access_token": grant.token, "token_type": "Bearer", **lasts})
