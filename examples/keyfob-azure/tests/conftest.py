"""A host with one provider, and an Entra ID."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from entra import Entra
from keyfob import Host
from keyfob.testing import Answer

CONFIG = """
[model_providers.corp]
base_url = "{base_url}"

[model_providers.corp.azure]
{options}
"""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who certifies `localhost`."""
    return trustme.CA()


@pytest.fixture
def entra(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., Entra]]:
    """Starts an Entra ID that gives these answers."""
    with contextlib.ExitStack() as running:

        def start(*tokens: Answer) -> Entra:
            return running.enter_context(Entra(authority, tmp_path, *tokens))

        yield start


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity reads os.environ: nothing of this machine's is to be in it."""
    for name in os.environ:
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")  # nor that of a cloud it may be in


@pytest.fixture
def hosted(tmp_path: Path) -> Callable[..., Host]:
    """Makes a host with the provider `corp`, of an environment, and an `azure` table."""

    def make(
        environ: dict[str, str], options: str = "", base_url: str = "https://corp.example/v1", **more: Any
    ) -> Host:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        (home / "keyfob.toml").write_text(CONFIG.format(base_url=base_url, options=options))
        return Host({"CODEX_HOME": str(home), "HOME": str(tmp_path), **environ}, **more)

    return make
