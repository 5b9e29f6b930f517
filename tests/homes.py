"""What tests of configuration and routing work with: a CODEX_HOME, an administrator's folder, and a site folder."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from keyfob import Host, Provider
from keyfob.config.places import Places, site_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyfob.errors import Fault

PLUGIN = """\
from keyfob.plugin import StaticAuth, hookimpl
from pydantic import BaseModel

class Options(BaseModel):
    key_env: str = "KEY"

class Plugin(StaticAuth[Options]):
    key = "%KEY%"

    def headers(self, options, context):
        return {"X-Key": context.environ[options.key_env]}

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]

@hookimpl
def keyfob_providers():
    return {"%KEY%": {"base_url": "https://shipped.example/v1", "env_key": "SHIPPED_KEY"}}
"""
"""A plugin whose key is the entry point's name, and a provider of that id."""


@dataclass
class Home:
    """A CODEX_HOME with an administrator's folder beside it; `warned` is what its hosts warned of."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    warned: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder, self.system = self.root / "home", self.root / "system"
        self.folder.mkdir()
        self.system.mkdir()

    @property
    def places(self) -> Places:
        """These folders, as a host takes them."""
        return Places(str(self.folder), system=str(self.system), cache=str(self.root / "cache"))

    def write(self, text: str, name: str = "config.toml") -> str:
        """Write a file of CODEX_HOME; returns its path."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def host(self, text: str | None = None, **options: Any) -> Host:
        """A new host, of this config.toml."""
        if text is not None:
            self.write(text)
        return Host(self.environ, places=self.places, warn=self.warned.append, **options)

    def provider(self, text: str, provider: str | None = "x", **options: Any) -> Provider:
        """One provider of a new host."""
        return self.host(text, **options).provider(provider)


@dataclass
class Site:
    """A site folder that nothing but the test installs into."""

    folder: Path

    def install(
        self,
        name: str,
        source: str = PLUGIN,
        *,
        key: str = "hmac",
        group: str = "keyfob.auth",
        version: str = "1.0",
        module: str | None = None,
        code: Path | None = None,
    ) -> Path:
        """Install a distribution with one module, into `code` if that is given; returns its metadata folder."""
        module = module or f"kf_{name}"
        target = (code or self.folder).joinpath(*module.split(".")).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.replace("%KEY%", key), encoding="utf-8")
        metadata = self.folder / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 9\n")
        self.declare(metadata, f"[{group}]\n{key} = {module}\n")
        return metadata

    def declare(self, metadata: Path, entry_points: str) -> None:
        """Write the entry points of a distribution."""
        (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A CODEX_HOME."""
    return Home(tmp_path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site folder in the place of the machine's own; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    real = min(map(sys.path.index, site_folders()))  # what stands behind it counts as installed, keyfob's plugins too
    monkeypatch.setattr(sys, "path", [*sys.path[:real], str(folder), *sys.path[real:]])
    importlib.invalidate_caches()
    for module in ("keyfob.host", "keyfob.routing.plugins"):
        monkeypatch.setattr(f"{module}.site_folders", lambda: [str(folder)])
    yield Site(folder)
    for name in [name for name in sys.modules if name.startswith("kf_")]:
        del sys.modules[name]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not collected by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
