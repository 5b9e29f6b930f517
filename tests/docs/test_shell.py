"""Every keyfob command in the documentation can be typed, and its JSON has the shape that is shown."""

from __future__ import annotations

import io
import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.cli.commands import parsed
from keyfob.cli.run import run
from keyfob.cli.terminal import Terminal

from .pages import ROOT, Block, blocks, commands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("block", [block for block in blocks("sh") if any(commands(block))], ids=str)
def test_a_command_can_be_typed(block: Block) -> None:
    """Command, options and arguments are those that the command line takes."""
    for arguments in commands(block):
        if arguments in (["--help"], ["--version"]):
            continue
        parsed(arguments)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_a_script_that_is_named_is_there(block: Block) -> None:
    """scripts/demo and the like."""
    for line in block.text.splitlines():
        if line.startswith("scripts/"):
            assert os.access(ROOT / shlex.split(line)[0], os.X_OK)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_a_document_has_the_shape_that_is_shown(block: Block, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose title is a command shows what the command prints; the names are compared, not the values."""
    monkeypatch.chdir(home)  # where one of them writes files
    shown = json.loads(block.text)
    if block.title:
        program, *arguments = shlex.split(block.title)
        assert program == "keyfob"
        assert names(_printed(arguments)) == names(shown)


def _printed(arguments: list[str]) -> Any:
    out = io.StringIO()
    run(arguments, make_terminal=lambda: Terminal(out, io.StringIO(), {}))
    return json.loads(out.getvalue())


def names(document: Any, path: str = "") -> set[str]:
    """The paths of all names in a document; what is in a list stands for all that is in it."""
    if isinstance(document, dict):
        return {f"{path}.{key}" for key in document}.union(
            *(names(value, f"{path}.{key}") for key, value in document.items())
        )
    if isinstance(document, list):
        return set().union(*(names(value, f"{path}[]") for value in document))
    return set()
