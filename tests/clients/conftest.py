"""`way`: each test that asks for it runs for httpx and httpx2, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ways import WAYS

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise by hand, so that a test can name other ways with a parametrisation of its own."""
    own = any("way" in str(mark.args[0]).split(",") for mark in metafunc.definition.iter_markers("parametrize"))
    if "way" in metafunc.fixturenames and not own:
        metafunc.parametrize("way", WAYS, ids=str)
