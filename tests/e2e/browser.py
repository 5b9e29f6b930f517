"""A real browser, as a running process: Debian's Chromium, driven by browser_driver.py in an environment of its own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from . import parts

if TYPE_CHECKING:
    from collections.abc import Mapping

_DRIVER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser_driver.py")
_PICTURES: Final = os.environ.get("KEYFOB_SCREENSHOTS")

READABLE: Final = 4.5
"""The least contrast that text may have (WCAG 2.2, 1.4.3, level AA)."""


class Look(NamedTuple):
    """What a page is in one size (wide, narrow) and light (light, dark)."""

    language: str
    headings: list[str]
    text: str
    scripts: int
    """How many elements run one."""
    links: list[str]
    overflow: int
    """How many pixels it is wider than the window."""
    contrast: float
    """The lowest of all its text."""
    smallest: float
    """The size of its smallest text, in pixels."""


class Sight(NamedTuple):
    """What a page is; `looks` by name, like `dark-narrow`."""

    url: str
    title: str
    console: list[str]
    """What the pages of this tab wrote to the console, errors as well."""
    elsewhere: list[str]
    """What the pages of this tab asked for beyond loopback."""
    looks: Mapping[str, Look]

    @property
    def text(self) -> str:
        """All that it says."""
        return next(iter(self.looks.values())).text


class Browser:
    """Chromium; start it with `with`. Each tab is a person of its own, whom no site knows yet."""

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            LookupError: it, or what drives it, is not installed; the text is `parts.missing`'s.
        """
        self._tabs = itertools.count()
        self._home = tempfile.TemporaryDirectory(prefix="keyfob-browser-")
        self._process = subprocess.Popen(
            [parts.path("browser"), _DRIVER, shutil.which("chromium") or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=parts.offline_environ(self._home.name),
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate(timeout=30)
        self._home.cleanup()

    def tab(self) -> Tab:
        """A new tab; close it with `with`."""
        return Tab(self, next(self._tabs))

    def command(self, tab: int, command: str, arguments: tuple[Any, ...]) -> Any:
        """Have one command run, as browser_driver.py says.

        Raises:
            AssertionError: the page was not as it should be, or it took too long.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        print(json.dumps({"tab": tab, "command": command, "arguments": arguments}), file=stdin, flush=True)
        answer = json.loads(stdout.readline())  # type: ignore[union-attr]
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]


class Tab:
    """One tab."""

    def __init__(self, browser: Browser, number: int) -> None:
        self._browser, self._number = browser, number

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, as a person would."""
        self._do("close")

    def open(self, url: str) -> None:
        """Go to an address."""
        self._do("open", url)

    def wait(self, heading: str) -> None:
        """Wait for a page that has this heading."""
        self._do("wait", heading)

    def see(self, name: str) -> Sight:
        """What the page is; with a picture of each look in the folder $KEYFOB_SCREENSHOTS, if that is set."""
        seen = self._do("see", os.path.join(_PICTURES, name) if _PICTURES else None)
        return Sight(**seen | {"looks": {look: Look(**what) for look, what in seen["looks"].items()}})

    def sign_in(self, name: str = "alice") -> None:
        """Sign in at the OAuth server's page that is open, and allow what is asked."""
        self.name(name)
        self._do("click", "Allow")

    def name(self, name: str = "alice") -> None:
        """Only sign in there."""
        self._do("fill", "Name", name)
        self._do("click", "Sign in")
        self.wait("Allow access?")

    def allow_to(self, path: str) -> str:
        """Allow what is asked; returns the address with this path that it leads to, before that has answered."""
        address: str = self._do("click_to", "Allow", path)
        return address

    def cancel(self) -> None:
        """Say no on the page that is open there."""
        self._do("click", "Cancel")

    def enter_code(self, code: str) -> None:
        """Enter a device's code on the page for it that is open, and confirm that it is one's own."""
        self._do("fill", "", code)
        self._do("click", "Continue")
        self.confirm_device()

    def confirm_device(self) -> None:
        """Confirm the device's code that the page shows."""
        self.wait("Is this your device?")
        self._do("click", "Yes")

    def _do(self, command: str, *arguments: Any) -> Any:
        return self._browser.command(self._number, command, arguments)
