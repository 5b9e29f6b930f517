"""What tests of `login`, `status` and `logout` share: configuration, what is typed, what files there are."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

CONFIG = """
model_provider = "lab"
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
[model_providers.corp]
base_url = "https://corp.example/v1"
requires_openai_auth = true
[model_providers.open]
base_url = "https://open.example/v1"
"""
KEY = "sk-canary-0123456789-abcdefgh"


class Pipe(io.TextIOWrapper):
    """A stdin that is a pipe; nobody has to close it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


class Keyboard(io.StringIO):
    """A stdin at which a person sits, who answers so."""

    def isatty(self) -> bool:
        return True


def pipe(monkeypatch, data):
    """Let `data` come from stdin."""
    monkeypatch.setattr(sys, "stdin", Pipe(data if isinstance(data, bytes) else data.encode()))


def write_login(keyfob, data):
    """An auth.json; its path."""
    path = f"{keyfob.home}/auth.json"
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(data if isinstance(data, str) else json.dumps(data))
    return path


def files(folder):
    """Every file below a folder: its bytes and when it was changed."""
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return {path: (os.stat(path).st_mtime_ns, Path(path).read_bytes()) for path in paths}
