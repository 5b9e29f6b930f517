"""The contract of plugins, with a service account's key."""

from pathlib import Path

import pytest
from conftest import ServiceAccount
from keyfob.testing.contract import Contract, NastyIssuer


class TestGoogle(Contract):
    key = "google"
    optional = ("GOOGLE_APPLICATION_CREDENTIALS",)  # without it gcloud's login is looked for
    account: ServiceAccount
    folder: Path

    @pytest.fixture(autouse=True)
    def a_key(self, account: ServiceAccount, tmp_path: Path) -> None:
        self.account, self.folder = account, tmp_path

    def environ(self, issuer: NastyIssuer) -> dict[str, str]:
        return {"GOOGLE_APPLICATION_CREDENTIALS": self.account.write(self.folder, issuer.token_url)}
