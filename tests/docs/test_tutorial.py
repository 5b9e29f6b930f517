"""The tutorial, followed as it is written, ends with an answer."""

from __future__ import annotations

import builtins
import io
import shlex
import socket
from typing import TYPE_CHECKING

import pytest

from keyfob.cli.run import run
from keyfob.cli.terminal import Terminal

from .pages import Block, blocks, lines

if TYPE_CHECKING:
    from pathlib import Path

PORT = "8765"
# What `keyfob` exits with, in the tutorial's order, where that is not 0: a wrong key, another host, no key.
REFUSED = {
    "keyfob check lab": [1, 0],
    "keyfob explain lab https://elsewhere.example.com/v1/models": [1],
    "keyfob request models": [1],
}


@pytest.mark.slow
def test_the_tutorial_can_be_followed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its server runs, its commands end as it says, and its program prints the answer that it shows."""
    port = _free_port()
    files = {block.title: block.text.replace(PORT, port) for kind in ("python", "toml") for block in _tutorial(kind)}
    (home / "config.toml").write_text(str(files["config.toml"]), "utf-8")
    monkeypatch.delenv("LAB_KEY")
    expected = {line: list(codes) for line, codes in REFUSED.items()}

    def second_shell(prompt: str) -> str:
        for line in _after_the_server():
            words = shlex.split(line)
            match words[0]:
                case "export" if words[1].startswith("LAB_KEY="):
                    monkeypatch.setenv(*words[1].split("=", 1))
                case "unset":
                    monkeypatch.delenv(words[1])
                case "keyfob":
                    codes = expected.get(line, [])
                    assert run(words[1:], make_terminal=_terminal) == (codes.pop(0) if codes else 0), line
                case "python":
                    capsys.readouterr()
                    _run(files[words[1]])
                    assert capsys.readouterr().out == _tutorial("text")[0].text
        return prompt

    monkeypatch.setattr(builtins, "input", second_shell)
    _run(files["server.py"])
    assert not any(expected.values())


def _tutorial(language: str) -> list[Block]:
    return blocks(language, "tutorial.md")


def _after_the_server() -> list[str]:
    typed = [line for block in _tutorial("sh") for line in lines(block)]
    return typed[typed.index("python server.py") + 1 :]


def _run(program: str | None) -> None:
    exec(compile(str(program), "tutorial", "exec"), {"__name__": "__main__"})


def _terminal() -> Terminal:
    return Terminal(io.TextIOWrapper(io.BytesIO()), io.StringIO(), {})


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
