"""The world that the examples of the documentation run in: their files and variables, and a model server."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from keyfob import api
from keyfob.config import places
from keyfob.testing import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG = """
model_provider = "corp"
[model_providers.corp]
base_url = "{base_url}"
env_key = "CORP_KEY"
[model_providers.local]
base_url = "{base_url}"
[model_providers.lab]
base_url = "{base_url}"
env_key = "LAB_KEY"
"""


@pytest.fixture(scope="session")
def server() -> Iterator[ModelServer]:
    """A model server that takes any key."""
    with ModelServer() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The CODEX_HOME of this process, with the providers that the examples name, on the model server."""
    (tmp_path / "config.toml").write_text(_CONFIG.format(base_url=server.base_url))
    monkeypatch.setattr(places, "system_folder", lambda environ: str(tmp_path / "system"))
    for name, value in {
        "CODEX_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CODEX_OSS_BASE_URL": server.base_url,
        "CORP_KEY": "corp-key",
        "LAB_KEY": "lab-key",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(api, "_own", {})  # the host of this process is made anew
    return tmp_path


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder behind the site folders, as a .pth file would add one; what is imported from it is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if os.path.dirname(getattr(sys.modules[name], "__file__", None) or "") == str(folder):
            del sys.modules[name]
