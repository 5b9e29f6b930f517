"""The pages in the browser: whole without network and script, and readable for everybody."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser

import pytest

from keyfob.plugin.oauth import pages

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=y>\"'&"
PAGES = {
    "done": pages.done(HOSTILE),
    "done, of nothing that is named": pages.done(None),
    "denied": pages.denied(HOSTILE),
    "forbidden": pages.forbidden(HOSTILE, HOSTILE),
    "failed": pages.failed(HOSTILE),
    "over": pages.OVER,
    "another": pages.OTHER,
    "given up": pages.GIVEN_UP,
    "broken": pages.BROKEN,
}


class Elements(HTMLParser):
    """The elements of a page: name → the attributes of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str | None]]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append(dict(attrs))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_needs_nothing_and_says_what_it_is(page: pages.Page) -> None:
    """One heading in one main part, a language and a title; words of others are words; nothing is fetched or run."""
    html = page.html().decode()
    found = Elements(html).found
    assert found["html"] == [{"lang": "en"}]
    assert [len(found[name]) for name in ("main", "h1", "title", "svg")] == [1, 1, 1, 1]
    assert found["svg"][0]["aria-hidden"] == "true"
    assert not set(found) - {
        *("html", "head", "meta", "title", "link", "style", "body"),
        *("header", "main", "svg", "circle", "path", "h1", "p", "code"),
    }
    assert found["link"] == [{"rel": "icon", "href": "data:,"}]
    assert not re.search(r"https?:|url\(|@import|\son\w+=|\sstyle=", html.replace(escape(HOSTILE), ""))


def test_the_style_is_the_one_that_the_policy_names() -> None:
    """Its hash, so that no other style and no script can take effect."""
    style = re.search("<style>(.*)</style>", pages.OVER.html().decode(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in pages.CONTENT_POLICY.split(";"))
    assert policy.pop("style-src") == f"'sha256-{digest}'"
    assert policy.pop("img-src") == "data:"
    assert set(policy.values()) == {"'none'"}
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} == set(policy)


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_can_be_read_on_what_is_behind_it_by_day_and_by_night() -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    light, dark = re.findall(r":root \{(.*?)\}", pages.OVER.html().decode(), re.DOTALL)
    for scheme in (light, dark):
        colours = {name: _luminance(value) for name, value in re.findall(r"--(\w+): (#\w{6})", scheme)}
        assert len(colours) == 8
        for behind in ("ground", "card"):
            for name in ("ink", "soft", "good", "bad", "over"):
                darker, lighter = sorted((colours[name], colours[behind]))
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (name, behind)
