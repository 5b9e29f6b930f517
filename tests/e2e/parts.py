"""The real counterparts of the end-to-end tests: where they are, and LiteLLM's proxy as a running process."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from glob import glob
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

Part: TypeAlias = Literal["codex", "litellm", "openai2", "oidc", "browser", "examples"]

_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Codex is its native program: the launcher beside it needs node, and takes 40 ms to start it.
# Node.js is a newer one than some systems have, which oidc-provider needs. openai2 has keyfob and httpx, but no httpx2;
# browser has Playwright; examples has keyfob, every example, what their tests need, and mypy.
_PARTS: Final[Mapping[Part, tuple[str, str]]] = {
    "codex": ("Codex's client", "tests/e2e/node/node_modules/@openai/codex-*/vendor/*/bin/codex"),
    "litellm": ("LiteLLM's proxy", ".venvs/litellm/bin/litellm"),
    "openai2": ("the OpenAI SDK 2.x", ".venvs/openai2/bin/python"),
    "oidc": ("the OAuth server with its Node.js 22", "tests/e2e/node/node_modules/node-*/bin/node"),
    "browser": ("what drives the browser", ".venvs/browser/bin/python"),
    "examples": ("the environment of the examples", ".venvs/examples/bin/python"),
}

PROXY_MODEL: Final = "demo-model"
"""The one model that the proxy offers."""

UPSTREAM_KEY: Final = "upstream-key"
"""What the proxy itself sends to its upstream, whatever the caller's key was."""

_START_PATIENCE_S: Final = 120.0  # importing it takes 6 s on an idle machine
_STOP_PATIENCE_S: Final = 10.0


def missing(part: Part) -> str | None:
    """Return why a test that needs `part` cannot run, with the command that makes it; None if it is there."""
    name, place = _PARTS[part]
    if not _find(part):
        return f"{name} is not installed ({place}): run scripts/setup-e2e"
    if part == "browser" and not shutil.which("chromium"):
        return "there is no chromium (Debian: apt-get install chromium)"
    return None


def path(part: Part) -> str:
    """Return the path of a counterpart's program, or of the interpreter that runs it.

    Raises:
        LookupError: it is not installed; the text is `missing`'s.
    """
    if reason := missing(part):
        raise LookupError(reason)
    return _find(part) or ""


def offline_environ(home: str) -> dict[str, str]:
    """Return an environment for a child that shall reach loopback only: nothing is inherited but PATH.

    Codex asks github.com and chatgpt.com for its plugins during every turn; with the proxy that nobody answers it gives
    up at once, and its configuration stays one that a user would write.
    """
    nobody = "http://127.0.0.1:9"
    return {
        "HOME": home,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "HTTP_PROXY": nobody,
        "HTTPS_PROXY": nobody,
        "NO_PROXY": "127.0.0.1,localhost",
    }


@contextmanager
def litellm_proxy(
    upstream_base_url: str, keys: Collection[str] | None, workdir: str, *, master_key: str | None = None
) -> Iterator[str]:
    """Run LiteLLM's proxy in front of `upstream_base_url`, and yield its base URL (with `/v1`).

    While it starts it asks the upstream once for its models, so tests look at the path of what the upstream received.

    Args:
        upstream_base_url: where requests for PROXY_MODEL go, with UPSTREAM_KEY.
        keys: the callers' keys that its `custom_auth` accepts; None leaves `custom_auth` out: then it is in master-key
            mode, without a database.
        workdir: an empty folder, for its configuration and its log.
        master_key: LiteLLM does not start without one; by default it is one that nobody knows.

    Raises:
        LookupError: it is not installed; the text is `missing`'s.
        RuntimeError: it did not get ready; the text ends with what it wrote.
    """
    command, port, log = path("litellm"), _free_port(), os.path.join(workdir, "log")
    _write_config(workdir, upstream_base_url, keys)
    arguments = [command, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    process = _start(arguments, workdir, log, _proxy_environ(workdir, master_key or f"sk-{secrets.token_hex(32)}"))
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health/liveliness", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _stop(process)


def _find(part: Part) -> str | None:
    return next(iter(sorted(glob(os.path.join(_ROOT, _PARTS[part][1])))), None)


# LiteLLM's configuration. YAML reads JSON.


# Raise nothing but ProxyException or HTTPException: on any other, LiteLLM looks whether a database error is behind it,
# needs `prisma` for that, which is not in its `proxy` extra, and answers 500 with nothing in it.
_CUSTOM_AUTH: Final = """
from fastapi import Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

KEYS = frozenset({keys!r})


async def check(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    if api_key in KEYS:
        return UserAPIKeyAuth(api_key=api_key)
    raise ProxyException(message="Unknown key.", type="auth_error", param="api_key", code=401)
"""


def _write_config(workdir: str, upstream_base_url: str, keys: Collection[str] | None) -> None:
    with open(os.path.join(workdir, "config.yaml"), "w", encoding="utf-8") as file:
        json.dump(_config(upstream_base_url, checks_keys=keys is not None), file)
    with open(os.path.join(workdir, "custom_auth.py"), "w", encoding="utf-8") as file:
        file.write(_CUSTOM_AUTH.format(keys=sorted(keys or ())))


def _config(upstream_base_url: str, *, checks_keys: bool) -> dict[str, Any]:
    upstream = {"model": f"openai/{PROXY_MODEL}", "api_base": upstream_base_url, "api_key": UPSTREAM_KEY}
    return {
        "model_list": [{"model_name": PROXY_MODEL, "litellm_params": upstream}],
        # One request in, one request out: a 401 of the upstream would otherwise close the model for five seconds.
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"custom_auth": "custom_auth.check"} if checks_keys else {},
    }


def _proxy_environ(workdir: str, master_key: str) -> dict[str, str]:
    return offline_environ(workdir) | {
        "LITELLM_MASTER_KEY": master_key,
        "LITELLM_MODE": "PRODUCTION",  # else it reads a `.env` from its folder, or from any above it
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
        "LITELLM_LOCAL_BLOG_POSTS": "True",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
        "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
        "DISABLE_ADMIN_UI": "True",
    }


# LiteLLM's process


def _free_port() -> int:
    # Given 0 it does not tell which port it got, so one is chosen here; should another take it first, it exits.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _start(arguments: list[str], workdir: str, log: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with open(log, "wb") as output:
        return subprocess.Popen(
            arguments,
            cwd=workdir,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: str) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(url):
            return
        time.sleep(0.1)
    raise RuntimeError(f"LiteLLM's proxy did not get ready:\n{_tail(log)}")


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5):
            return True
    except OSError:
        return False


def _tail(log: str) -> str:
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()[-3000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
