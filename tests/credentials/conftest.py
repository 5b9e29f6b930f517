"""A login to renew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.credentials.worlds import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """One login that has expired, and that Codex shares. What survives a power cut is for the tests of the stores."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return World(tmp_path)
