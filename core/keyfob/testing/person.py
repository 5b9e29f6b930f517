"""Somebody who signs in: what a flow speaks with in a test."""

from __future__ import annotations

import re
import threading
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

_PATIENCE = 20.0  # seconds
_MARKUP = re.compile(r"(<style>.*</style>|<[^>]*>|\s)+", re.DOTALL)


class Person:
    """An Interaction: has a browser that goes where it is sent at once, and waits for nothing else.

    said, shown: what they were told, and which addresses and codes they saw, in order. waited: how many seconds they
    were asked to, each time. page: the HTML that their browser showed last.

    goes: where their browser goes instead of the address that it is sent to, such as what a server would send it back
    to. enters: told the address and the code that are shown, when a device flow first waits. types: the secret they are
    asked for.
    """

    def __init__(
        self,
        *,
        goes: Callable[[str], str] = lambda url: url,
        enters: Callable[[str, str], None] = lambda *_: None,
        types: str = "",
    ) -> None:
        self.said: list[str] = []
        self.shown: list[str] = []
        self.waited: list[float] = []
        self.page = ""
        self.goes = goes
        self._enters, self._types = enters, types
        self._browser: threading.Thread | None = None

    def say(self, message: str) -> None:
        """Remember it."""
        self.said.append(message)

    def show(self, line: str) -> None:
        """Remember it."""
        self.shown.append(line)

    def visit(self, url: str, port: int) -> None:
        """Go there, in a thread."""
        self.shown.append(url)
        self._browser = threading.Thread(target=self._browse, args=(url,))
        self._browser.start()

    def _browse(self, url: str) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.goes(url), timeout=_PATIENCE) as answer:
            self.page = answer.read().decode()

    def secret(self, what: str, whom: str) -> str:
        """What they were made to type."""
        if not self._types:
            raise AssertionError(f"nobody expected to be asked for the {what}")
        return self._types

    def wait(
        self,
        seconds: float,
        *,
        left: float,
        done: Event | None = None,
        typed: Callable[[str], str | None] | None = None,
    ) -> None:
        """For the browser to come back, as long as it takes; for anything else not at all."""
        if done is not None:
            if not done.wait(_PATIENCE):
                raise AssertionError("the browser did not come back")
            return
        if not self.waited:
            self._enters(*self.shown[-2:])
        self.waited.append(seconds)

    def leave(self) -> str:
        """Wait for the browser's last page; its text, without tags."""
        if self._browser is not None:
            self._browser.join(_PATIENCE)
        return _MARKUP.sub(" ", self.page)
