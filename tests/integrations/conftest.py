"""What the tests of every integration work with: a model server, and hosts with one provider on it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import pytest

import keyfob
from keyfob.config.places import Places
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Prints `token-1`, then `token-2`, and so on; where it was told how often it works, it fails after that.
COUNTING: Final = """
import pathlib, sys
file, times = pathlib.Path(sys.argv[1]), int(sys.argv[2])
n = int(file.read_text()) + 1 if file.exists() else 1
if n > times: sys.exit("the session has expired")
file.write_text(str(n))
print(f"token-{n}")
"""


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A model server that answers everything."""
    with ModelServer() as running:
        yield running


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., keyfob.Host]:
    """Makes a host with one provider, `corp`, from lines of TOML and the variables of its environment."""

    def make(base_url: str, *lines: str, **environ: str) -> keyfob.Host:
        home = tmp_path / "codex"
        home.mkdir(exist_ok=True)
        text = "\n".join(['model_provider = "corp"', "[model_providers.corp]", f'base_url = "{base_url}"', *lines])
        (home / "config.toml").write_text(text)
        places = Places(str(home), system=str(tmp_path / "system"), cache=str(tmp_path / "cache"))
        return keyfob.Host({"CODEX_HOME": str(home), **environ}, places=places)

    return make


@pytest.fixture
def counting(tmp_path: Path) -> Callable[[int], str]:
    """Makes the lines of an entry whose command prints a new token each time, for so many times."""

    def make(times: int) -> str:
        args = ["-I", "-c", COUNTING, str(tmp_path / "count"), str(times)]
        return f"auth = {{ command = '{sys.executable}', args = {json.dumps(args)} }}"

    return make
