"""The page "Your first plugin", followed as it is written: with the built wheel, in an empty environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ..docs.pages import ROOT, Block, blocks  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path

PAGE, MORE = "first-plugin.md", "write-a-plugin.md"
# What declares the plugins of the other page, which leaves that to the reader.
PACKAGE = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "more"
version = "1"
[project.entry-points."keyfob.auth"]
acme = "keyfob_acme"
gate = "keyfob_gate"
[tool.hatch.build.targets.wheel]
include = ["keyfob_*.py"]
"""


def steps() -> list[Block]:
    """Every block of the page, in its order."""
    found = [block for language in ("sh", "toml", "python") for block in blocks(language, PAGE)]
    return sorted(found, key=lambda block: block.line)


def script() -> str:
    """What a reader types and writes, as one script; a block with a title is a file."""
    return "\n".join(
        f"mkdir -p {os.path.dirname(block.title) or '.'}\ncat > {block.title} <<'END-OF-FILE'\n{block.text}END-OF-FILE"
        if block.title
        else f"echo '--- {block.line}'\n{block.text}"
        for block in steps()
    )


@pytest.mark.e2e
def test_the_page_leads_from_an_empty_folder_to_a_tested_wheel(tmp_path: Path) -> None:
    """Each command succeeds, the contract passes, and finds the mistake that the page has one make."""
    environ = {
        "PATH": f"{os.path.dirname(os.path.realpath(sys.executable))}:/usr/bin:/bin",
        "HOME": str(tmp_path / "nobody"),
        "PIP_CONSTRAINT": str(tmp_path / "constraints.txt"),
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()},
    }
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    (tmp_path / "constraints.txt").touch()
    subprocess.run(build, env=environ, check=True)
    (wheel,) = wheels.iterdir()
    (tmp_path / "constraints.txt").write_text(f"keyfob @ {wheel.as_uri()}\n")
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        ["bash", "-eu", "-c", script()], cwd=work, env=environ, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert re.search(r"auth\s+portkey\s+keyfob-portkey\s+0\.1\.0\s+declared, can be loaded", said)
    assert "rule no-log-shows-a-secret: a log at DEBUG shows a secret" in said
    assert "as it should be" in said
    assert sorted(path.suffix for path in (work / "keyfob-portkey" / "dist").iterdir()) == [".gz", ".whl"]
    check_other_page(work / "keyfob-portkey" / ".venv" / "bin" / "python", tmp_path / "more", environ)


def check_other_page(python: Path, folder: Path, environ: dict[str, str]) -> None:
    """Its plugins pass the contract as its own test has it, in that environment."""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PACKAGE)
    for block in blocks("python", MORE):
        ((tests if block.title == "test_contract.py" else folder) / str(block.title)).write_text(block.text)
    for command in (["-m", "pip", "install", "--quiet", str(folder)], ["-m", "pytest", "-q"]):
        done = subprocess.run([python, *command], cwd=tests, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
