"""Fixtures that hand out the real counterparts, and skip, or fail, where one is missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import ModelServer

from . import parts
from .browser import Browser
from .oidc import OidcServer
from .shared import CodexHome

if TYPE_CHECKING:
    from collections.abc import Iterator


class Proxy(NamedTuple):
    """LiteLLM's proxy: running, with the model server behind it, and the key that it accepts."""

    base_url: str
    upstream: ModelServer
    key: str


@pytest.hookimpl(tryfirst=True)  # before `-m "not e2e"` looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder `e2e`."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def codex() -> str:
    """The path of the real Codex client."""
    _require("codex")
    return parts.path("codex")


@pytest.fixture(scope="session")
def openai2_python() -> str:
    """The Python that has the OpenAI SDK 2.x, httpx and keyfob, but no httpx2."""
    _require("openai2")
    return parts.path("openai2")


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """LiteLLM's proxy with `custom_auth`: 401 for every key but its own, and for none."""
    _require("litellm")
    key, workdir = "caller-key", str(tmp_path_factory.mktemp("litellm"))
    with ModelServer() as upstream, parts.litellm_proxy(upstream.base_url, [key], workdir) as base_url:
        yield Proxy(base_url, upstream, key)


@pytest.fixture(scope="session")
def litellm_without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """LiteLLM's proxy in master-key mode: 400 for a wrong key, 500 for none, as it looks for them in a database."""
    _require("litellm")
    key, workdir = "sk-master-key-of-this-test", str(tmp_path_factory.mktemp("litellm"))
    with (
        ModelServer() as upstream,
        parts.litellm_proxy(upstream.base_url, None, workdir, master_key=key) as base_url,
    ):
        yield Proxy(base_url, upstream, key)


@pytest.fixture
def port_1455() -> Iterator[None]:
    """The port that OpenAI's issuer knows is this test's: a sign-in that wants it asks whoever has it to give up."""
    import fcntl

    with open(os.path.join(tempfile.gettempdir(), "keyfob-tests-1455"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that speaks OpenAI's dialect, at which whoever opens its page is signed in, in workspace acct-1."""
    with Issuer() as running:
        yield running


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A model server that accepts every key."""
    with ModelServer() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer, server: ModelServer) -> CodexHome:
    """A CODEX_HOME with one provider that wants the OpenAI login; nobody is signed in."""
    return CodexHome.of_openai(tmp_path, issuer, server)


@pytest.fixture
def other(tmp_path: Path, issuer: Issuer, server: ModelServer) -> CodexHome:
    """Another one, for the other client to do the same in."""
    root = tmp_path / "other"
    root.mkdir()
    return CodexHome.of_openai(root, issuer, server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    _require("browser")
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def _oidc() -> Iterator[OidcServer]:
    _require("oidc")
    with OidcServer() as server:
        yield server


@pytest.fixture
def oidc(_oidc: OidcServer) -> OidcServer:
    """A certified OAuth server: what it was asked, only this test asked."""
    _oidc.anew()
    return _oidc


def _require(part: parts.Part) -> None:
    """Skip the test if `part` is missing; in a run that shall have all parts (KEYFOB_E2E=all), fail it."""
    reason = parts.missing(part)
    if reason is None:
        return
    if os.environ.get("KEYFOB_E2E") == "all":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
