"""The one answer that counts: from whom, in which words, and what it grants."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from keyfob.errors import DeniedError, ExpiredSignInError, SignInError
from keyfob.plugin.oauth.attempt import Attempt, Verdict

from .scene import CODE, ISSUER, wanted

PORT = 1455


class Tried(Attempt):
    """An attempt whose own request is known, as its issuer knows it."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(wanted(**changes), PORT)
        self.asked = dict(parse_qsl(urlsplit(self.address).query))

    def answer(self, **fields: str) -> str:
        """The query that an issuer answers with."""
        return urlencode({"code": CODE, "state": self.asked["state"]} | fields)

    def page(self, begins: str = f"http://127.0.0.1:{PORT}/callback", **fields: str) -> str:
        """The address of the page that the browser ends at."""
        return f"{begins}?{self.answer(**fields)}"


def test_the_request_has_its_own_proof_and_what_is_wanted_beside_it() -> None:
    """PKCE with S256, fresh for each, which no wanted field takes the place of; the endpoint's own query stays."""
    endpoint = f"{ISSUER}/authorize?tenant=t"
    one, other = (Tried(endpoint=endpoint, fields={"scope": "a b", "state": "mine", "audience": "x"}) for _ in "12")
    assert list(one.asked) == [
        *("tenant", "response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "state"),
        *("scope", "audience"),
    ]
    one.offer(one.answer())
    verifier = one.grant().verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    assert one.asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (one.asked["code_challenge_method"], len(verifier), len(one.asked["state"])) == ("S256", 86, 43)
    assert {one.asked["state"], one.asked["code_challenge"]}.isdisjoint(other.asked.values())


@pytest.mark.slow
def test_of_many_who_answer_at_once_one_counts() -> None:
    """Browsers and people who paste, all with the right state: what one of them brought is what is granted."""
    for _ in range(20):
        attempt = Tried()
        counted = _race(attempt)
        code = attempt.grant().code
        assert counted == ([code] if attempt.came else [])
        assert attempt.came == code.startswith("browse")


def _race(attempt: Tried) -> list[str]:
    """The codes of the browsers that were told that theirs counts."""
    barrier, counted = threading.Barrier(8), []

    def browse(code: str) -> None:
        barrier.wait()
        if attempt.offer(attempt.answer(code=code)) is Verdict.COUNTS:
            counted.append(code)

    def paste(code: str) -> None:
        barrier.wait()
        assert attempt.pasted(attempt.page(code=code)) is None

    threads = [
        threading.Thread(target=each, args=(f"{each.__name__}-{n}",)) for n in range(4) for each in (browse, paste)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counted


LOCAL = f"http://localhost:{PORT}/callback"


@pytest.mark.parametrize(
    "written",
    [
        lambda it: it.page(),
        lambda it: f"  '{it.page()}' \t",
        lambda it: f"<{it.page()}>",
        lambda it: f"{it.page()}#_=_",
        lambda it: it.page(LOCAL),
        lambda it: it.page(f"127.0.0.1:{PORT}/callback"),
        lambda it: it.page(f"HTTP://LocalHost:{PORT}/callback"),
    ],
    ids=["as it is", "quoted", "in brackets", "with a fragment", "localhost", "without scheme", "in capitals"],
)
def test_an_address_counts_as_people_paste_it(written: Any) -> None:
    """With what copying puts around it, and by either name of loopback."""
    for host in ("127.0.0.1", "localhost"):
        attempt = Tried(host=host)
        assert attempt.pasted(written(attempt)) is None
        assert attempt.done.is_set()
        assert attempt.grant().redirect_uri == f"http://{host}:{PORT}/callback"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (lambda it: CODE, "the whole address"),
        (lambda it: it.asked["state"], "the whole address"),
        (lambda it: f"?{it.answer()}", "begins with http://127.0.0.1:1455/callback?"),
        (lambda it: it.page("http://evil.example:1455/callback"), "begins with"),
        (lambda it: it.page("http://127.0.0.1:1457/callback"), "begins with"),
        (lambda it: it.page("http://127.0.0.1/callback"), "begins with"),
        (lambda it: it.page("http://127.0.0.1:x/callback"), "begins with"),
        (lambda it: it.page("http://[127.0.0.1:1455/callback"), "begins with"),
        (lambda it: it.page("http://127.0.0.1:1455/other"), "begins with"),
        (lambda it: it.page("https://127.0.0.1:1455/callback"), "begins with"),
        (lambda it: it.page("http://me@127.0.0.1:1455/callback"), "begins with"),
        (lambda it: it.address, "begins with"),
        (lambda it: "http://127.0.0.1:1455/callback", "begins with"),
        (lambda it: it.page(state="x" * 43), "of another sign-in"),
        (lambda it: it.page()[:-5], "or not whole"),
        (lambda it: it.page(state="\udcff".encode("utf-8", "surrogatepass").decode("latin-1")), "of another"),
        (lambda it: f"{it.page(state='x')}\udcff", "of another sign-in"),
    ],
)
def test_a_line_of_no_use_is_said_to_be_so_and_not_repeated(written: Any, why: str) -> None:
    """The sign-in goes on; what was pasted may hold a code."""
    attempt = Tried()
    told = attempt.pasted(written(attempt))
    assert why in str(told)
    assert CODE not in str(told)
    assert attempt.asked["state"] not in str(told)
    assert not attempt.done.is_set()
    assert attempt.pasted("  ") is None


@pytest.mark.parametrize(
    ("changes", "answered", "fits"),
    [
        ({"issuer": ISSUER, "announces_iss": True}, {"iss": ISSUER}, True),
        ({"issuer": ISSUER, "announces_iss": True}, {}, False),
        ({"issuer": ISSUER, "announces_iss": True}, {"error": "access_denied"}, False),
        ({"issuer": ISSUER, "announces_iss": True}, {"iss": f"{ISSUER}/"}, False),
        ({"issuer": ISSUER, "announces_iss": True}, {"iss": ISSUER.upper()}, False),
        ({"issuer": ISSUER}, {"iss": "https://evil.example"}, False),
        ({"issuer": ISSUER}, {}, True),
        ({}, {"iss": "https://evil.example"}, False),
        ({}, {}, True),
    ],
)
def test_the_answer_is_that_of_the_issuer_that_was_asked(
    changes: dict[str, Any], answered: dict[str, str], *, fits: bool
) -> None:
    """RFC 9207: to the letter, also where it says no, and there at all if that was announced."""
    attempt = Tried(**changes)
    attempt.offer(attempt.answer(**answered))
    if fits:
        assert attempt.grant().code == CODE
    else:
        with pytest.raises(SignInError, match=r"^the answer (is not|does not say|names its issuer)") as caught:
            attempt.grant()
        assert not isinstance(caught.value, DeniedError)
        assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("answered", "kind", "told"),
    [
        ({"error": "access_denied"}, DeniedError, "login.example refused: access_denied"),
        ({"error": "access_denied", "error_description": "User said no"}, DeniedError, "User said no"),
        ({"error": "server_error"}, SignInError, "login.example refused: server_error"),
        ({"error": "", "error_description": ""}, SignInError, "it does not say why"),
        ({"error": "a\x1b]0;b\x07\u202ec", "error_description": "\n"}, SignInError, "refused: a ]0;b c"),
        ({"error": "e", "error_description": "x" * 999}, SignInError, "x…"),
        ({"error": "access_denied", "error_description": "(not_entitled)"}, DeniedError, "ask for it at the desk"),
        ({"code": ""}, SignInError, "login.example sent the browser back without an authorization code"),
    ],
)
def test_a_refusal_is_told_in_the_issuers_words_or_better_ones(
    answered: dict[str, str], kind: type[SignInError], told: str
) -> None:
    """Without what takes hold of a terminal; and a person who pastes it is told the same."""
    for paste in (False, True):
        attempt = Tried(refusals={"not_entitled": "ask for it at the desk"})
        attempt.pasted(attempt.page(**answered)) if paste else attempt.offer(attempt.answer(**answered))
        with pytest.raises(SignInError) as caught:
            attempt.grant()
        assert type(caught.value) is kind
        assert str(caught.value).endswith(told)
        assert len(str(caught.value)) < 300


def test_an_answer_that_comes_when_time_is_up_is_too_late() -> None:
    """Whoever is first holds: a page never says that somebody is signed in who is not."""
    attempt = Tried()
    with pytest.raises(ExpiredSignInError, match="nobody signed in in time"):
        attempt.grant()
    assert attempt.offer(attempt.answer()) is Verdict.TAKEN
    assert not attempt.came
    assert not attempt.cancel()
    answered = Tried()
    answered.offer(answered.answer())
    assert not answered.cancel()
    assert answered.grant().code == CODE
