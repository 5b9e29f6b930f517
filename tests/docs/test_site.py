"""The site is built without a warning, and a browser that shows it asks no other host for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from .pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# What a reader has to click on is not loaded.
CLICKED = {("a", "href")}
LOADING = {"action", "data", "href", "poster", "src", "srcset"}
FOREIGN = re.compile(r"(https?:)?//")


class Loads(HTMLParser):
    """Collects what a browser loads of other hosts for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        self.foreign += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name in LOADING and (tag, name) not in CLICKED and FOREIGN.match(value or "")
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in a folder of its own."""
    pytest.importorskip("zensical", reason="zensical is not installed (pip install --group docs)")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def test_each_page_is_built(site: Path) -> None:
    """One file of HTML for each page."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    """No fonts, scripts, images or styles of others."""
    for page in site.rglob("*.html"):
        loads = Loads()
        loads.feed(page.read_text("utf-8"))
        assert not loads.foreign, page.name


def test_styles_load_nothing_from_other_hosts(site: Path) -> None:
    """`url()` and `@import` may only be relative, or hold the data themselves."""
    for style in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?(?!data:)((?:https?:)?//[^'\")]*)", style.read_text("utf-8"))
        assert not found, style.name
