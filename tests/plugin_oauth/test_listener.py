"""The listener that the browser comes back to: who gets the answer, who does not, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.credentials.exchange import UnansweredError
from keyfob.errors import DeniedError, ExpiredSignInError, KeyfobError, PolicyError, PortError, SignInError
from keyfob.plugin.oauth import authorize, loopback
from keyfob.plugin.oauth.attempt import Attempt
from keyfob.plugin.oauth.loopback import Listener
from keyfob.plugin.oauth.wire import Request

from .scene import CODE, PATIENCE, WANTED, Person, SignIn, SlowSave, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from .scene import Seen


def test_the_page_says_done_after_the_save_and_nothing_tells_the_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """The browser waits while the login is saved, is sent away from the code, and meets neither script nor network."""
    caplog.set_level(logging.DEBUG)
    save = SlowSave()
    with SignIn(save=save) as sign_in:
        seen = []
        browser = threading.Thread(target=lambda: seen.append(sign_in.get(sign_in.callback())))
        browser.start()
        assert save.begun.wait(PATIENCE)
        early = sign_in.get("/signed-in")
        waits = browser.is_alive()
        save.may_end.set()
        browser.join(PATIENCE)
        page = sign_in.get(seen[0].headers["location"])
    assert waits
    assert early.status == 404
    assert (seen[0].status, seen[0].headers["location"]) == (303, "/signed-in")
    assert (page.status, "<h1>Signed in to corp</h1>" in page.text) == (200, True)
    for answer in (seen[0], page):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert sign_in.grant is not None
    for secret in (CODE, sign_in.grant.verifier, sign_in.asked["state"]):
        told = (*map(repr, seen), repr(page), caplog.text, repr(sign_in.grant), *sign_in.person.said)
        assert not any(secret in each for each in told)


NOT_ANSWERS: dict[str, Callable[[SignIn], Seen | bytes]] = {
    "HEAD": lambda it: it.get(it.callback(), method="HEAD"),
    "POST": lambda it: it.get(it.callback(), method="POST"),
    "OPTIONS": lambda it: it.get(it.callback(), method="OPTIONS"),
    "prefetch": lambda it: it.get(it.callback(), Sec_Purpose="prefetch"),
    "prerender": lambda it: it.get(it.callback(), Sec_Purpose="prefetch;prerender"),
    "Purpose": lambda it: it.get(it.callback(), Purpose="prefetch"),
    "X-Moz": lambda it: it.get(it.callback(), X_Moz="prefetch"),
    "a preview": lambda it: it.get(it.callback(), X_Purpose="preview"),
    "a wrong state": lambda it: it.get(it.callback(state="x" * 43)),
    "a state that is no ASCII": lambda it: it.get(it.callback(state="\N{SNOWMAN}")),
    "no state": lambda it: it.get("/callback?code=c"),
    "an error without state": lambda it: it.get("/callback?error=access_denied"),
    "no query": lambda it: it.get("/callback"),
    "two states": lambda it: it.get(it.callback() + "&state=" + it.asked["state"]),
    "no UTF-8": lambda it: it.get(it.callback() + "&x=%FF"),
    "too many fields": lambda it: it.get(it.callback() + "&x=1" * 40),
    "another path": lambda it: it.get(it.callback().replace("/callback", "/callback/")),
    "another host": lambda it: it.get(it.callback(), host=f"evil.example:{it.port}"),
    "another port": lambda it: it.get(it.callback(), host=f"127.0.0.1:{it.port + 1}"),
    "no port": lambda it: it.get(it.callback(), host="127.0.0.1"),
    "no host": lambda it: it.raw(f"GET {it.callback()} HTTP/1.1\r\n\r\n".encode()),
    "two hosts": lambda it: it.raw(
        f"GET {it.callback()} HTTP/1.1\r\nHost: 127.0.0.1:{it.port}\r\nhost: evil.example\r\n\r\n".encode()
    ),
    "a folded host": lambda it: it.raw(
        f"GET {it.callback()} HTTP/1.1\r\nHost:\r\n 127.0.0.1:{it.port}\r\n\r\n".encode()
    ),
    "a whole URL": lambda it: it.get(f"http://127.0.0.1:{it.port}{it.callback()}"),
    "garbage": lambda it: it.raw(b"\x16\x03\x01\x02\x00\x01\r\n\r\n"),
    "the icon": lambda it: it.get("/favicon.ico"),
    "the last page, too early": lambda it: it.get("/signed-in"),
    "1 MB of query": lambda it: it.raw(f"GET {it.callback()}&x={'x' * 2**20}".encode()),
    "1 MB of headers": lambda it: it.raw(b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 2**17),
    "a page that cancels: Origin": lambda it: it.get("/cancel", Origin="null"),
    "a page that cancels: Referer": lambda it: it.get("/cancel", Referer="https://evil.example/"),
    "a page that cancels: Sec-Fetch-Site": lambda it: it.get("/cancel", Sec_Fetch_Site="cross-site"),
    "a page that cancels: Sec-Fetch-Mode": lambda it: it.get("/cancel", sec_fetch_mode="no-cors"),
    "a cancel by another name": lambda it: it.get("/cancel", host=f"evil.example:{it.port}"),
    "a cancel by POST": lambda it: it.get("/cancel", method="POST"),
}


def test_only_a_get_with_the_right_state_is_the_answer() -> None:
    """Whatever else comes to the port is refused, says nothing of the answer, and leaves the sign-in as it was."""
    with SignIn() as sign_in:
        for what, ask in NOT_ANSWERS.items():
            answer = ask(sign_in)
            status = int(answer.split(b" ")[1]) if isinstance(answer, bytes) else answer.status
            assert 400 <= status < 600, what
            assert not sign_in.grant, what
            assert CODE not in repr(answer), what
        socket.create_connection(("127.0.0.1", sign_in.port)).close()  # as browsers do, to be quicker when they need it
        assert "Signed in" in sign_in.browse(sign_in.callback()).text
    assert sign_in.grant is not None
    assert sign_in.grant.code == CODE


def test_what_is_too_long_is_told_so() -> None:
    """The sender of a megabyte sees why it is refused, though not all of it was read."""
    with SignIn() as sign_in:
        for what, status in {"query": b"414", "headers": b"431"}.items():
            answer = NOT_ANSWERS[f"1 MB of {what}"](sign_in)
            assert isinstance(answer, bytes)
            assert answer.startswith(b"HTTP/1.1 " + status)
        sign_in.get("/cancel")


def test_a_second_answer_finds_the_sign_in_over() -> None:
    """Also while the first is being saved: one answer counts."""
    save = SlowSave()
    with SignIn(save=save) as sign_in:
        pages = []
        browser = threading.Thread(target=lambda: pages.append(sign_in.browse(sign_in.callback())))
        browser.start()
        assert save.begun.wait(PATIENCE)
        away = sign_in.get(sign_in.callback(code="another"))
        second = sign_in.get(away.headers["location"])
        assert sign_in.get("/cancel").status == 409
        save.may_end.set()
        browser.join(PATIENCE)
    assert (away.status, "code" in away.headers["location"]) == (303, False)
    assert (second.status, "<h1>This sign-in is over</h1>" in second.text) == (200, True)
    assert "Signed in" in pages[0].text
    assert sign_in.grant is not None
    assert sign_in.grant.code == CODE


def test_the_other_name_of_loopback_is_as_good() -> None:
    """Nobody else's page has the Host `localhost`; and people type it in the place of the address."""
    with SignIn() as sign_in:
        assert sign_in.get(sign_in.callback(state="x"), host=f"LOCALHOST:{sign_in.port}").status == 400
        seen = sign_in.get(sign_in.callback(), host=f"localhost:{sign_in.port}")
        sign_in.get(seen.headers["location"])
    assert sign_in.error is None


@pytest.mark.parametrize("path", ["/signed-in", "/over", "/cancel"])
def test_a_redirect_uri_may_have_the_path_of_a_page_here(path: str) -> None:
    """It is the answer where it has a query, and else what it is everywhere."""
    with SignIn(wanted(path=path)) as given_up:
        assert given_up.get("/cancel").status == 200
    assert "another one on this machine" in str(given_up.error)
    with SignIn(wanted(path=path)) as sign_in:
        assert "This is another sign-in" in sign_in.get(sign_in.callback(state="x")).text
        assert "Signed in" in sign_in.browse(sign_in.callback()).text
    assert sign_in.error is None


def test_the_port_that_browsers_leave_out_need_not_be_named() -> None:
    """Neither in the Host nor in an address that is pasted; any other needs to be."""
    for port, status in ((80, 303), (8080, 421)):
        attempt = Attempt(WANTED, port)
        answer = urlencode({"code": CODE, "state": parse_qs(urlsplit(attempt.address).query)["state"][0]})
        assert (attempt.pasted(f"http://127.0.0.1/callback?{answer}") is None) == (port == 80)
        with socket.socket() as held:
            request = Request("GET", "/callback", answer, (("host", "127.0.0.1"),))
            response = Listener(held, attempt)._answer(request)
        assert response is not None
        assert response.status == status


def test_slow_and_silent_callers_do_not_keep_the_browser_from_being_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest make room; and those that are left do not keep the sign-in from ending."""
    monkeypatch.setattr(loopback, "_MOST", 20)
    monkeypatch.setattr(loopback, "_PATIENCE", 4 * PATIENCE)
    with SignIn() as sign_in, contextlib.ExitStack() as connections:
        address = ("127.0.0.1", sign_in.port)
        callers = [connections.enter_context(socket.create_connection(address, PATIENCE / 4)) for _ in range(100)]
        for caller in callers:
            with contextlib.suppress(OSError):  # turned out already
                caller.send(b"GET /callback?code=")
        assert _left(callers[0])
        page = sign_in.browse(sign_in.callback())
    assert "Signed in" in page.text


def test_a_request_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the connection, however it drips."""
    monkeypatch.setattr(loopback, "_PATIENCE", 0.01)
    with SignIn() as sign_in:
        with socket.create_connection(("127.0.0.1", sign_in.port), PATIENCE) as caller:
            assert _left(caller)
        sign_in.get("/cancel")


def _left(caller: socket.socket) -> bool:
    """Whether the other side has closed the connection; waits for it."""
    try:
        return caller.recv(1) == b""
    except ConnectionError:
        return True


def test_a_browser_that_waits_is_not_turned_out_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come after it while the login is saved."""
    monkeypatch.setattr(loopback, "_MOST", 3)
    save = SlowSave()
    with SignIn(save=save) as sign_in:
        pages = []
        browser = threading.Thread(target=lambda: pages.append(sign_in.browse(sign_in.callback())))
        browser.start()
        assert save.begun.wait(PATIENCE)
        callers = [socket.create_connection(("127.0.0.1", sign_in.port)) for _ in range(12)]
        assert sign_in.get("/nothing").status == 404
        save.may_end.set()
        browser.join(PATIENCE)
    assert "Signed in" in pages[0].text
    for caller in callers:
        caller.close()


def test_a_browser_that_has_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its window was closed while the login was saved."""
    monkeypatch.setattr(loopback, "_LAST_PAGE", 4 * PATIENCE)
    save = SlowSave()
    with SignIn(save=save) as sign_in:
        with socket.create_connection(("127.0.0.1", sign_in.port)) as browser:
            browser.send(f"GET {sign_in.callback()} HTTP/1.1\r\nHost: 127.0.0.1:{sign_in.port}\r\n\r\n".encode())
            assert save.begun.wait(PATIENCE)
        assert sign_in.get("/nothing").status == 404  # by now the closing has been heard as well
        save.may_end.set()
    assert sign_in.error is None


class Terminated(BaseException):
    """As a signal is raised."""


@pytest.mark.parametrize(
    ("error", "page"),
    [
        (KeyboardInterrupt(), "given up at the terminal"),
        (SystemExit(1), "given up at the terminal"),
        (Terminated(), "given up at the terminal"),
        (PolicyError("the account breaks a rule", hint="keyfob login corp"), "This account may not be used here"),
        (SignInError("login.example answered 500 <b>"), "login.example answered 500 &lt;b&gt;"),
        (UnansweredError("login.example did not answer: read timed out"), "login.example did not answer"),
        (ValueError(CODE), "something went wrong"),
    ],
    ids=repr,
)
def test_a_browser_is_told_what_came_between_its_answer_and_the_save(error: BaseException, page: str) -> None:
    """And the error goes on to whoever called."""

    def save() -> None:
        raise error

    with SignIn(save=save) as sign_in:
        seen = sign_in.browse(sign_in.callback())
    assert sign_in.error is error
    assert page in seen.text
    assert CODE not in seen.text
    known = isinstance(error, KeyfobError | UnansweredError)
    assert ("Nothing was stored" in seen.text) == known  # a signal may come in the moment after it was


def test_the_page_of_a_denied_sign_in_holds_the_reason_as_text() -> None:
    """Neither markup nor what turns text around."""
    with SignIn() as sign_in:
        seen = sign_in.browse(sign_in.callback(error="access_denied", error_description="<script>\u202eno\x1b[2J"))
    assert isinstance(sign_in.error, DeniedError)
    assert "&lt;script&gt; no [2J" in seen.text
    assert re.search("access was denied", seen.text)


def test_giving_up_or_running_out_of_time_leaves_nothing_behind() -> None:
    """Neither thread nor port, also with callers who say nothing."""
    with SignIn(seconds=0.01) as late:
        pass
    assert isinstance(late.error, ExpiredSignInError)
    with SignIn(person=Person(gives_up=KeyboardInterrupt())) as given_up:
        pass
    assert isinstance(given_up.error, KeyboardInterrupt)


@pytest.mark.parametrize("step", ["new_event_loop", "start_server"])
def test_a_listener_that_cannot_start_is_told_at_once(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody is sent to a page that would lead nowhere; no thread of it is left."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(asyncio, step, fail)
    person = Person(gives_up=AssertionError())
    with pytest.raises(PortError, match="Too many open files"), authorize(WANTED, person):
        pass
    assert not person.address
    assert "sign-in" not in [thread.name for thread in threading.enumerate()]


def test_a_program_that_asks_for_the_port_gets_it() -> None:
    """As Codex and another keyfob ask: with the Host of the port, and as no web page can."""
    with SignIn() as sign_in:
        assert sign_in.get("/cancel").status == 200
    assert isinstance(sign_in.error, SignInError)
    assert "given up" in str(sign_in.error)


def test_a_pasted_address_is_an_answer_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """No browser came, so none is waited for."""
    monkeypatch.setattr(loopback, "_LAST_PAGE", 4 * PATIENCE)
    person = Person(pastes=lambda: ("nonsense", f"http://127.0.0.1:{sign_in.port}{sign_in.callback()}"))
    sign_in = SignIn(person=person)
    with sign_in:
        pass
    assert sign_in.grant is not None
    assert sign_in.grant.code == CODE
    assert [refused is None for refused in person.refused] == [False, True]
