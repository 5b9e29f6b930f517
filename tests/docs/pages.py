"""The pages of the documentation, taken apart: their code blocks, headings, links and tables."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK: Final = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
_ENDS: Final = {"|", ">", "<", "&&", ";"}
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A code block: where it begins, its language, its title and what is in it."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(language: str, page: str | None = None) -> list[Block]:
    """Every block of a language, of all pages or of one."""
    return [
        Block(path, text.count("\n", 0, found.start()) + 1, language, found["title"], found["text"])
        for path in PAGES
        if page in (None, path.name)
        for text in [path.read_text("utf-8")]
        for found in _BLOCK.finditer(text)
        if found["language"] == language
    ]


def lines(block: Block) -> list[str]:
    """The lines of a shell block; one that goes on in the next is one with it."""
    return block.text.replace("\\\n", "").splitlines()


def commands(block: Block) -> Iterator[list[str]]:
    """The arguments of each keyfob command of a shell block, also of those in `$(…)`."""
    for line in lines(block):
        inner = line.partition("$(")[2].partition(")")[0]
        words = shlex.split(inner or line, comments=True)
        while words and "=" in words[0]:
            words = words[1:]  # a variable for this command
        if words[:1] == ["keyfob"]:
            end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
            yield words[1:end]


def text_of(page: str) -> str:
    """A page of docs/ as it is written."""
    return (ROOT / "docs" / page).read_text("utf-8")


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return _BLOCK.sub("", path.read_text("utf-8"))


def links(path: Path) -> list[str]:
    """Where the links of a page lead."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """The anchor of each heading, as Python-Markdown makes it."""
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in _HEADING.findall(prose(path)))
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    _, found, rest = text_of(page).partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    end = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The rows of every table in `text`, without heads; each cell trimmed."""
    lines = [line.strip("|") for line in text.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    return [row for row in found if not set("".join(row)) <= set("-: ")]
