"""Every Python block of the documentation runs as it stands."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from keyfob.plugin import Context, SignsIn
from keyfob.routing.isolation import whole_records

from .pages import Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.testing import ModelServer

PROXY = "https://llm.example.com"
# The one file that needs the plugins installed: tests/e2e/test_first_plugin.py runs it.
CONTRACT = "test_contract.py"
# What each integration is for, as it is imported.
LIBRARIES = {
    "aiohttp": "aiohttp",
    "langchain": "langchain_openai",
    "openai": "openai",
    "pydantic_ai": "pydantic_ai",
    "requests": "requests",
}


@pytest.mark.parametrize("block", [block for block in blocks("python") if not block.title], ids=str)
def test_an_example_runs(block: Block, home: Path, server: ModelServer) -> None:
    """A block is complete: it needs no other block, and runs with the server in place of the example's host."""
    for module, library in LIBRARIES.items():
        if f"keyfob.integrations.{module} " in block.text:
            pytest.importorskip(library, reason=f"{library} is not installed")
    text = block.text.replace(PROXY, server.origin)
    exec(compile(text, str(block), "exec"), {"__name__": "example"})  # our own page


@pytest.mark.parametrize(
    "block",
    [block for block in blocks("python", "write-a-plugin.md") if block.title not in (None, CONTRACT)],
    ids=str,
)
def test_a_plugins_file_passes_its_tests(block: Block, site_folder: Path) -> None:
    """The files of the plugin page can be imported; those that are tests pass."""
    for other in blocks("python", "write-a-plugin.md"):
        (site_folder / str(other.title)).write_text(other.text, "utf-8")
    importlib.invalidate_caches()
    module = importlib.import_module(str(block.title).removesuffix(".py"))
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert bool(tests) == module.__name__.startswith("test_")
    for test in tests:
        test()


def test_the_plugin_that_signs_in_is_whole(site_folder: Path) -> None:
    """Its records have all that the contract asks for, and what they have of SignsIn itself is the usual."""
    for block in blocks("python", "write-a-plugin.md"):
        (site_folder / str(block.title)).write_text(block.text, "utf-8")
    importlib.invalidate_caches()
    context = Context(environ={}, clock=lambda: 0.0)
    records = whole_records(importlib.import_module("keyfob_desk").DeskKeys(context), "the page")
    assert isinstance(records, SignsIn)
    assert (records.flows, records.unattended, records.headers) == (("browser",), None, ("Authorization",))
