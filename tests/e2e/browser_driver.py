"""Drives Debian's Chromium with Playwright; run by the Python of .venvs/browser, which has nothing of keyfob.

It reads a command of JSON from each line of its standard input and answers with a line of JSON: {"value": ...}, or
{"error": ...} for what did not happen in time. It ends when its standard input does. `Tab` has the commands; browser.py
sends them.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Request, sync_playwright

PATIENCE_MS = 20_000
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Nothing is looked up: what is not on loopback cannot be reached, and shows as a failed request.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
SIZES = {"wide": (1280, 800), "narrow": (375, 700)}

# What a page is, as a person or a screen reader meets it. The contrast is WCAG 2's, the lowest of all text on the page.
SEEN = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const canvas = () => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.backgroundColor = 'Canvas';
    const color = getComputedStyle(probe).backgroundColor;
    probe.remove();
    return color;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return canvas();
  };
  const contrast = (element) => {
    const [a, b] = [getComputedStyle(element).color, behind(element)].map((color) => light(channels(color)));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const says = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const texts = all('body, body *').filter((element) => says(element) && element.checkVisibility());
  const root = document.documentElement;
  return {
    language: root.lang,
    headings: all('h1, h2').map((heading) => heading.innerText),
    text: document.body.innerText,
    scripts: all('script, [onload], [onclick], [href^="javascript:"]').length,
    links: all('a[href]').map((link) => link.href),
    overflow: Math.max(0, root.scrollWidth - root.clientWidth),
    contrast: Math.min(...texts.map(contrast)),
    smallest: Math.min(...texts.map((element) => parseFloat(getComputedStyle(element).fontSize))),
  };
}"""


class Tab:
    """One page of its own: nobody is signed in there. Its public methods are the commands."""

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context(viewport=dict(zip(("width", "height"), SIZES["wide"], strict=True)))
        self._context.set_default_timeout(PATIENCE_MS)
        self._page = self._context.new_page()
        self._console: list[str] = []
        self._asked: list[str] = []
        self._page.on("console", self._note_console)
        self._page.on("request", self._note_request)

    def open(self, url: str) -> None:
        """Go to an address; what it redirects to counts as the page."""
        self._page.goto(url)

    def fill(self, label: str, text: str) -> None:
        """Write into the field of a label; an empty label means the only field."""
        field = self._page.get_by_label(label) if label else self._page.locator("input:visible")
        field.fill(text)

    def click(self, button: str) -> None:
        """Press a button."""
        self._page.get_by_role("button", name=button, exact=True).click()

    def click_to(self, button: str, path: str) -> str:
        """Press a button, and return the address with this path that it leads to, before that has answered."""
        with self._page.expect_request(lambda request: urlsplit(request.url).path == path) as asked:
            self._page.get_by_role("button", name=button, exact=True).click(no_wait_after=True)
        return asked.value.url

    def wait(self, heading: str) -> None:
        """Wait for a page that has this heading."""
        self._page.get_by_role("heading", name=heading).first.wait_for()

    def see(self, picture: str | None) -> dict[str, Any]:
        """What the page is, in each size and light; with pictures if a path, without its ending, is given."""
        return {
            "url": self._page.url,
            "title": self._page.title(),
            "console": self._console,
            "elsewhere": [url for url in self._asked if urlsplit(url).hostname not in LOOPBACK],
            "looks": {
                f"{light}-{size}": self._look(light, size, picture) for light in ("light", "dark") for size in SIZES
            },
        }

    def text(self) -> str:
        """What the page says."""
        return f"{self._page.url}\n{self._page.locator('body').inner_text()}"

    def close(self) -> None:
        """Close it, as a person would."""
        self._context.close()

    def _look(self, light: Any, size: str, picture: str | None) -> dict[str, Any]:
        width, height = SIZES[size]
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme=light)
        if picture:
            self._page.screenshot(path=f"{picture}-{light}-{size}.png")
        look: dict[str, Any] = self._page.evaluate(SEEN)
        return look

    def _note_console(self, message: ConsoleMessage) -> None:
        self._console.append(f"{message.type}: {message.text}")

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss"):
            self._asked.append(request.url)


def main() -> None:
    """Answer commands until there are no more."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1], args=ARGUMENTS)
        tabs: dict[int, Tab] = {}
        for line in sys.stdin:
            print(json.dumps(answer(browser, tabs, **json.loads(line))), flush=True)
        browser.close()


def answer(browser: Browser, tabs: dict[int, Tab], tab: int, command: str, arguments: list[Any]) -> dict[str, Any]:
    """Run one command in a tab, which is opened with its first."""
    try:
        if tab not in tabs:
            tabs[tab] = Tab(browser)
        return {"value": getattr(tabs[tab], command)(*arguments)}
    except Error as error:
        return {"error": f"{command} {arguments}: {error.message}\n{tabs[tab].text()}"}


if __name__ == "__main__":
    main()
