"""Running keyfob in a test: in this process, or as the installed script, in folders of the test's own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from keyfob.cli.run import run
from keyfob.cli.terminal import Terminal
from keyfob.config.places import Places
from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = os.path.join(os.path.dirname(sys.executable), "keyfob")


@dataclass
class Said:
    """What one run came to. `data` is stdout as bytes, `out` as text."""

    code: int
    data: bytes
    err: str

    @property
    def out(self) -> str:
        return self.data.decode()


class _Tty(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@dataclass
class Keyfob:
    """Runs keyfob with the configuration that `configure` wrote and nothing of this machine's."""

    folder: str
    environ: dict[str, str] = field(default_factory=dict)
    script_path: str = SCRIPT

    @property
    def places(self) -> Places:
        return Places(self.home, system=f"{self.folder}/system", cache=f"{self.folder}/cache/keyfob")

    @property
    def home(self) -> str:
        return f"{self.folder}/codex"

    def configure(self, text: str, name: str = "config.toml") -> str:
        """Write a configuration file; its path."""
        path = f"{self.home}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def __call__(self, *arguments: str, tty: bool = False, **environ: str) -> Said:
        """Run it in this process."""
        out = (_Tty if tty else io.TextIOWrapper)(io.BytesIO(), encoding="utf-8")
        err = io.StringIO()
        whole = {"PATH": os.defpath, "HOME": self.folder, **self.environ, **environ}
        code = run(list(arguments), whole, lambda: Terminal(out, err, whole), self.places)
        out.flush()
        return Said(code, out.buffer.getvalue(), err.getvalue())

    def script(self, *arguments: str | bytes, **options) -> subprocess.Popen[bytes]:
        """Start the installed script."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environ = self.script_environ | options.pop("environ", {})
        return subprocess.Popen([SCRIPT, *arguments], env=environ, **(pipes | options))

    @property
    def script_environ(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "HOME": self.folder,
            "CODEX_HOME": self.home,
            "XDG_CACHE_HOME": f"{self.folder}/cache",
            "LANG": "C.UTF-8",
        } | self.environ

    def finished(self, *arguments: str | bytes, **options) -> Said:
        """Run the installed script to its end."""
        process = self.script(*arguments, **options)
        data, err = process.communicate(timeout=60)
        return Said(process.returncode, data or b"", (err or b"").decode())


@pytest.fixture
def keyfob(tmp_path) -> Keyfob:
    """keyfob in folders of its own, without configuration."""
    for name in ("codex", "system"):
        (tmp_path / name).mkdir()
    return Keyfob(str(tmp_path))


@pytest.fixture
def server():
    """A model server that accepts every key."""
    with ModelServer() as running:
        yield running


@pytest.fixture
def issuer(keyfob) -> Iterator[Issuer]:
    """OpenAI's issuer, to keyfob; there a code is entered at once."""
    with Issuer() as running:
        keyfob.environ.update(running.environ)
        yield running


@pytest.fixture
def lab(keyfob, server) -> Keyfob:
    """keyfob with an entry of every kind, all at the model server; `lab` is the default."""
    keyfob.environ["LAB_KEY"] = "sk-canary-lab"
    keyfob.configure(f"""
model_provider = "lab"
[model_providers.lab]
base_url = "{server.base_url}"
env_key = "LAB_KEY"
[model_providers.unset]
base_url = "{server.base_url}"
env_key = "UNSET_KEY"
[model_providers.open]
base_url = "{server.base_url}"
[model_providers.fixed]
base_url = "{server.base_url}"
experimental_bearer_token = "sk-canary-fixed"
http_headers = {{ "X-Team" = "canary team" }}
query_params = {{ "api-version" = "canary-version" }}
[model_providers.run]
base_url = "{server.base_url}"
auth = {{ command = "{sys.executable}", args = ["-c", "print('sk-canary-run')"] }}
""")
    return keyfob
