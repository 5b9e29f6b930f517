"""Records the sign-ins of tests/sign_ins.py with the certified OAuth server of the end-to-end tests."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tests import sign_ins
from tests.e2e import parts
from tests.e2e.oidc import OidcServer

from keyfob.testing import Person

if TYPE_CHECKING:
    from http.client import HTTPMessage

_ACTION = re.compile(r'name="xsrf" value="(\w+)"')


class Browser:
    """Fills in the server's pages as a person would, and stops where it is sent back to this machine."""

    def __init__(self) -> None:
        self.end = ""
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}), _Stopping(self)
        )

    def sign_in(self, address: str) -> str:
        """Sign in, and allow; returns where the browser is sent."""
        page = self._get(address)
        while not self.end:
            page = self._get(page.url, b"name=ada&answer=yes")
        return self.end

    def enter(self, address: str, code: str) -> None:
        """Enter the code of a device, sign in, and allow."""
        page = self._get(address)
        page = self._post_form(page, user_code=code)
        page = self._post_form(page, user_code=code, confirm="yes")
        while "/interaction/" in page.url:
            page = self._get(page.url, b"name=ada&answer=yes")

    def _post_form(self, page: Any, **fields: str) -> Any:
        xsrf = _ACTION.search(page.read().decode())
        assert xsrf is not None, page.url
        return self._get(page.url, urllib.parse.urlencode({"xsrf": xsrf[1], **fields}).encode())

    def _get(self, address: str, body: bytes | None = None) -> Any:
        try:
            return self._opener.open(address, body, timeout=30)
        except urllib.error.HTTPError as page:
            if self.end:
                return page
            raise


class _Stopping(urllib.request.HTTPRedirectHandler):
    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str) -> Any:
        """Not to keyfob's listener: that is asked by whoever signs in."""
        if urllib.parse.urlsplit(newurl).path == "/callback":
            self._browser.end = newurl
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def main() -> int:
    """Record each sign-in; the exit code says whether everything went as expected."""
    missing = parts.missing("oidc")
    if missing:
        print(f"sign-ins: left as they are: {missing}")
        return 0
    os.makedirs(sign_ins.CASSETTES, exist_ok=True)
    good = [record(scene, program, expected) for scene, program, expected in sign_ins.SIGN_INS]
    return 0 if all(good) else 1


def record(scene: Any, program: bool, expected: object) -> bool:
    """Record one sign-in in a cassette of its own; whether it went as expected."""
    file = f"{scene.__name__}.yaml"
    path = os.path.join(sign_ins.CASSETTES, file)
    if os.path.exists(path):
        os.unlink(path)  # "all" would add to it
    with OidcServer() as server, tempfile.TemporaryDirectory() as folder:
        browser = Browser()
        person = Person(goes=browser.sign_in, enters=browser.enter)
        recorder = sign_ins.recorder(server.issuer, server.secret, mode="all")
        with recorder.use_cassette(file):
            found = scene(sign_ins.Scene(folder, server.issuer, person, server.secret, program=program))
    print(f"{file}: {'ok' if found == expected else f'{found!r}, not {expected!r}'}")
    return bool(found == expected)


if __name__ == "__main__":
    sys.exit(main())
