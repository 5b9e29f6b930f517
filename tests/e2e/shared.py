"""A CODEX_HOME that the real Codex client and keyfob share, and how each of them is run in it, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from keyfob import Host
from keyfob.config.places import Places

from . import parts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keyfob.credentials.login import Login
    from keyfob.testing.issuer import Issuer
    from keyfob.testing.model_server import ModelServer

KEYFOB = os.path.join(os.path.dirname(sys.executable), "keyfob")
# Both read it. Codex tries nothing again, so that each of its requests tells something, and asks nobody for plugins.
CONFIG = """
model_provider = "corp"
[model_providers.corp]
name = "Corp"
base_url = "{base_url}"
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 0
[features]
apps = false
plugins = false
remote_plugin = false
"""
# Python imports it before all else.
AHEAD = """
import time
real = time.time
time.time = lambda: real() + {seconds}
"""


class CodexHome:
    """One CODEX_HOME. environ: further variables for all that is run in it."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.folder = root / "codex"
        self.folder.mkdir()
        (root / "system").mkdir()
        self._environ = environ

    @classmethod
    def of_openai(cls, root: Path, issuer: Issuer, server: ModelServer) -> Self:
        """One with a provider that takes a login of this issuer, and is this server."""
        home = cls(root, issuer.environ)
        home.configure(CONFIG.format(base_url=server.base_url))
        return home

    @property
    def environ(self) -> dict[str, str]:
        """All that a program sees that is run here. `keyfob` is in its PATH."""
        base = parts.offline_environ(str(self.root))
        path = os.pathsep.join([os.path.dirname(sys.executable), base["PATH"]])
        home = {"CODEX_HOME": str(self.folder), "XDG_CACHE_HOME": str(self.root / "cache")}
        return {**base, "PATH": path, **home, **self._environ}

    def configure(self, text: str, name: str = "config.toml") -> None:
        (self.folder / name).write_text(text)

    def codex(self, *arguments: str, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Codex. given: its stdin."""
        return self._run([parts.path("codex"), *arguments], given, environ)

    def turn(self, **environ: str) -> subprocess.CompletedProcess[str]:
        """Have Codex take one turn."""
        return self.codex("exec", "--skip-git-repo-check", "-s", "read-only", "hi", **environ)

    def keyfob(self, *arguments: str, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run keyfob's installed script. given: its stdin."""
        return self._run([KEYFOB, *arguments], given, environ)

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run another program."""
        return self._run(list(command), "", environ)

    def _run(
        self, command: list[str], given: str, environ: Mapping[str, str], timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environ, **environ},
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ahead(self, seconds: float) -> dict[str, str]:
        """Variables with which keyfob's clock is so many seconds ahead: what Codex thinks new is near its end."""
        folder = self.root / f"ahead-{seconds:g}"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(AHEAD.format(seconds=seconds))
        return {"PYTHONPATH": str(folder)}

    def python(
        self, program: str, *arguments: str, python: str = sys.executable, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program that uses keyfob as a library."""
        return self._run([python, "-c", program, *arguments], "", environ, timeout=180)

    def host(self, **options: Any) -> Host:
        """keyfob as a library, in this process."""
        places = Places(str(self.folder), system=str(self.root / "system"), cache=str(self.root / "cache" / "keyfob"))
        return Host(self.environ, places=places, **options)

    @property
    def login(self) -> Login:
        """The login of the default provider, as keyfob has it."""
        login = self.host().provider().login
        assert login is not None
        return login

    @property
    def auth_json(self) -> Path:
        """Where the login is."""
        return self.folder / "auth.json"

    @property
    def stored(self) -> dict[str, Any]:
        """What is in it."""
        found: dict[str, Any] = json.loads(self.auth_json.read_text())
        return found

    def store(self, data: Mapping[str, Any]) -> None:
        """Put a login there, as Codex writes it."""
        self.auth_json.write_text(json.dumps(data, indent=2))
        self.auth_json.chmod(0o600)
