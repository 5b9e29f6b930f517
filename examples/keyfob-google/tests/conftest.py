"""A host with one provider, and a service account with its key."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from keyfob import Host

CONFIG = """
[model_providers.corp]
{base_url}

[model_providers.corp.google]
{options}
"""


@dataclass(frozen=True)
class ServiceAccount:
    """A service account of a project of nobody's. pem: its key, new for these tests."""

    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> str:
        """The key, as Google writes it."""
        pkcs8 = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()).decode()

    def write(self, folder: Path, token_uri: str) -> str:
        """Its file, as `gcloud iam service-accounts keys create` writes one; the path."""
        found = {
            "type": "service_account",
            "project_id": "nobodys",
            "private_key_id": "k1",
            "private_key": self.pem,
            "client_email": "team@nobodys.iam.gserviceaccount.com",
            "token_uri": token_uri,
        }
        (folder / "team.json").write_text(json.dumps(found))
        return str(folder / "team.json")


@pytest.fixture(scope="session")
def account() -> ServiceAccount:
    """One service account."""
    return ServiceAccount(rsa.generate_private_key(public_exponent=65_537, key_size=2048))


@pytest.fixture(autouse=True)
def no_machine_of_googles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever machine this is, its metadata server is left alone."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")


@pytest.fixture
def antipodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone far from UTC, where the system lets a process choose."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "NZST-12")
        if sys.platform != "win32":
            time.tzset()
        yield
    if sys.platform != "win32":
        time.tzset()


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Writes the provider `corp` with a `google` table; the environment that finds it."""

    def write(options: str = "", base_url: str | None = "https://corp.example/v1") -> dict[str, str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        line = f'base_url = "{base_url}"' if base_url else ""
        (home / "keyfob.toml").write_text(CONFIG.format(base_url=line, options=options))
        return {"CODEX_HOME": str(home), "HOME": str(tmp_path)}

    return write


@pytest.fixture
def hosted(configured: Callable[..., dict[str, str]]) -> Callable[..., Host]:
    """Makes a host of it, and of an environment."""

    def make(
        environ: dict[str, str], options: str = "", base_url: str | None = "https://c.example/v1", **more: Any
    ) -> Host:
        return Host({**configured(options, base_url), **environ}, **more)

    return make
