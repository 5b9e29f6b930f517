"""Links within the documentation lead somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .pages import PAGES, anchors, links

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_page_and_a_heading_that_is_there(page: Path) -> None:
    """Links to other hosts are not followed."""
    for link in links(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
