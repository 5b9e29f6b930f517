"""The real proxy, with a model server behind it; both on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import keyfob_litellm
import pytest
from keyfob.testing import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 120.0  # importing it takes 6 s on an idle machine

# Raise nothing but ProxyException: on any other, LiteLLM looks for a database error, which takes `prisma`.
_CUSTOM_AUTH = """
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

async def check(request, api_key):
    if api_key == {key!r}:
        return UserAPIKeyAuth(api_key=api_key)
    raise ProxyException(message="Unknown key.", type="auth_error", param="api_key", code=401)
"""


class Proxy(NamedTuple):
    """The running proxy, the model server behind it, and the one key that it accepts."""

    base_url: str
    upstream: ModelServer
    key: str


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy, which sends on the headers of its callers; it takes long to start, so there is one."""
    command = os.environ.get("LITELLM_COMMAND") or shutil.which("litellm")
    if not command:
        pytest.skip("there is no LiteLLM proxy: pip install 'litellm[proxy]', and export LITELLM_COMMAND=…/bin/litellm")
    key, folder = f"sk-{secrets.token_hex(8)}", tmp_path_factory.mktemp("litellm")
    with ModelServer() as upstream, _proxy(command, folder, upstream, key) as base_url:
        yield Proxy(base_url, upstream, key)


@pytest.fixture
def proxy(running: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The proxy, at the address that the plugin ships."""
    monkeypatch.setattr(keyfob_litellm, "BASE_URL", running.base_url)
    return running


@contextmanager
def _proxy(command: str, folder: Path, upstream: ModelServer, key: str) -> Iterator[str]:
    (folder / "custom_auth.py").write_text(_CUSTOM_AUTH.format(key=key), encoding="utf-8")
    (folder / "config.yaml").write_text(json.dumps(_config(upstream)), encoding="utf-8")  # YAML reads JSON
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = [command, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            arguments, cwd=folder, env=_environ(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health/liveliness")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _config(upstream: ModelServer) -> dict[str, object]:
    model = {"model": "openai/demo", "api_base": upstream.base_url, "api_key": "upstream-key"}
    return {
        "model_list": [{"model_name": "demo", "litellm_params": model}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"custom_auth": "custom_auth.check", "forward_client_headers_to_llm_api": True},
    }


def _environ(folder: Path) -> dict[str, str]:
    """Nothing is fetched, and nothing of whoever runs the tests is seen."""
    local = ("ANTHROPIC_BETA_HEADERS", "AUTOROUTER_PRESETS", "BLOG_POSTS", "MODEL_COST_MAP", "POLICY_TEMPLATES")
    return {
        "HOME": str(folder),
        "PATH": os.environ.get("PATH", os.defpath),
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}",
        "LITELLM_MODE": "PRODUCTION",  # else it reads a `.env` from its folder, or from any above it
        "DISABLE_ADMIN_UI": "True",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **{f"LITELLM_LOCAL_{name}": "True" for name in local},
    }


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("LiteLLM's proxy did not get ready")
