"""Signing in on another device (RFC 8628): what is shown there, and how the issuer is asked meanwhile. Nobody waits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from keyfob.credentials.exchange import Answer, Exchange, UnansweredError, UnreachableError
from keyfob.errors import DeniedError, ExpiredSignInError, SignInError
from keyfob.plugin.oauth import BASIC, POST, Client, Prompt, device_tokens, fault_of, invite, prompt_of
from keyfob.testing import Person

if TYPE_CHECKING:
    from collections.abc import Mapping

DEVICE_CODE = "device-code-that-nobody-may-see"
PROMPT = {"device_code": DEVICE_CODE, "user_code": "WDJB-MJHT", "verification_uri": "https://sso.example/device"}
TOKENS = {"access_token": "at", "token_type": "Bearer"}
ENDPOINT, TOKEN_ENDPOINT = "https://sso.example/device/code", "https://sso.example/token"


class Waiting(Person):
    """Whose time passes only while they wait, or sleep. asleep: seconds that the machine sleeps in each wait."""

    def __init__(self, asleep: float = 0.0) -> None:
        super().__init__()
        self.now, self.asleep = 1_000_000.0, asleep
        self.waits: list[tuple[float, float]] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float, *, left: float, **_: object) -> None:
        self.waits.append((seconds, left))
        self.now += seconds + self.asleep


class Server:
    """Answers with a prompt, then in this order, and the last answer again and again."""

    def __init__(self, prompt: Mapping[str, Any], *polls: object) -> None:
        self.answers = [(200, {**PROMPT, **prompt}), *polls]
        self.asked: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> Answer:
        self.asked.append(exchange)
        answer: Any = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, document, *after = answer if isinstance(answer, tuple) else (400, {"error": answer})
        return Answer(status, json.dumps(document).encode(), retry_after=after[0] if after else None)

    def signs_in(self, person: Waiting, client: Client | None = None) -> Mapping[str, Any]:
        client = client or Client("cli")
        return device_tokens(client, ENDPOINT, TOKEN_ENDPOINT, {"scope": "api"}, self, person, person.clock)


WRONG: list[object] = [0, -1, "-1", "0", "soon", "", True, [5], {}, 5000, "9" * 400, 10**400]
PENDING, GRANTED = "authorization_pending", (200, TOKENS)


def waits(person: Waiting) -> list[float]:
    return [seconds for seconds, _ in person.waits]


def test_the_person_is_shown_where_to_go_and_what_to_enter() -> None:
    """And warned of codes that come from others; the code of the device itself is shown to nobody."""
    person, server = Waiting(), Server({"expires_in": 600, "verification_uri_complete": "https://x"}, PENDING, GRANTED)
    assert server.signs_in(person) == TOKENS
    assert person.shown == ["https://sso.example/device", "WDJB-MJHT"]
    assert any("10 minutes" in each for each in person.said)
    assert "only if you started this yourself" in person.said[-1]
    assert DEVICE_CODE not in repr((vars(person), server.asked))
    first, *polls = [(each.url, dict(parse_qsl(each.body.decode()))) for each in server.asked]
    assert first == (ENDPOINT, {"client_id": "cli", "scope": "api"})
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "cli"}
    assert polls == [(TOKEN_ENDPOINT, {**poll, "device_code": DEVICE_CODE})] * 2


@pytest.mark.parametrize(
    ("method", "secret_is_posted"), [(POST, True), (BASIC, False)], ids=["in the form", "in the header"]
)
def test_a_client_with_a_secret_proves_itself_both_times(method: str, secret_is_posted: bool) -> None:
    """RFC 8628, section 3.1: as at the token endpoint."""
    server = Server({}, GRANTED)
    server.signs_in(Waiting(), Client("cli", "s3cret", method))
    for each in server.asked:
        assert (b"client_secret=s3cret" in each.body) == secret_is_posted
        assert ("Authorization" in each.headers) != secret_is_posted


@pytest.mark.parametrize(
    ("interval", "pause"),
    [
        (None, 5),
        (3, 3),
        (2.5, 2.5),
        ("0.01", 1),
        ("7", 7),
        (" 7.5 ", 7.5),
        (120, 120),
        *[(wrong, 5) for wrong in WRONG],
    ],
)
def test_between_two_questions_it_waits_as_it_is_told(interval: object, pause: float) -> None:
    """As a number or as text, but no less than a second; 5 where that is none, or longer than the code lives."""
    person = Waiting()
    Server({"interval": interval}, PENDING, PENDING, GRANTED).signs_in(person)
    assert waits(person) == [pause, pause]
    assert [left for _, left in person.waits] == [900, 900 - pause]


def test_who_is_told_to_slow_down_stays_slow() -> None:
    """Section 3.5: five seconds more each time, for all questions that follow."""
    person = Waiting()
    Server({}, "slow_down", PENDING, "slow_down", PENDING, GRANTED).signs_in(person)
    assert waits(person) == [10, 10, 15, 15]


def test_an_issuer_out_of_reach_is_asked_less_often_until_it_is_back() -> None:
    """The person hears of it once; no failure of the network ends the sign-in."""
    away, silent = UnreachableError("sso.example cannot be reached"), UnansweredError("sso.example did not answer")
    person = Waiting()
    polls = (PENDING, away, silent, away, away, away, PENDING, away, GRANTED)
    Server({}, *polls).signs_in(person)
    assert waits(person) == [5, 10, 20, 40, 60, 60, 5, 10]
    assert [each for each in person.said if "sso.example" in each] == [f"{away}; it is asked again"] * 2


def test_a_gateway_that_is_busy_is_asked_later() -> None:
    """As late as it says, but for who has a person wait for hours; what the issuer says of the code itself counts."""
    person = Waiting()
    busy = [(429, "slow", 90.0), (503, "<html>"), PENDING, (500, {"error": "server_error"}, 86_400.0), (502, {})]
    assert Server({}, *busy, GRANTED).signs_in(person) == TOKENS
    assert waits(person) == [90, 60, 5, 300, 60]
    assert "sso.example answered 429; it is asked again" in person.said
    with pytest.raises(SignInError, match="answered 500: invalid_grant"):
        Server({}, (500, {"error": "invalid_grant"})).signs_in(person)
    with pytest.raises(ExpiredSignInError):
        Server({"expires_in": 60}, (429, "", 3600.0)).signs_in(person)


def test_when_time_is_up_it_is_asked_once_more() -> None:
    """The last wait is cut to the time that is left, and a code that was entered in it still counts."""
    person, server = Waiting(), Server({"expires_in": 12}, PENDING)
    with pytest.raises(ExpiredSignInError, match="nothing was stored"):
        server.signs_in(person)
    assert person.waits == [(5, 12), (5, 7), (2, 2)]
    assert len(server.asked) == 1 + 4
    assert Server({"expires_in": 12}, PENDING, PENDING, PENDING, GRANTED).signs_in(Waiting()) == TOKENS


@pytest.mark.parametrize("asleep", [3600.0, -500_000.0], ids=["the machine slept", "the clock was set back"])
def test_no_clock_keeps_a_sign_in_waiting_for_ever(asleep: float) -> None:
    """What was slept counts, and a clock that goes back gives no more time than there was."""
    person = Waiting(asleep=asleep)
    with pytest.raises(ExpiredSignInError):
        Server({}, PENDING).signs_in(person)
    assert sum(waits(person)) <= 900
    assert len(person.waits) == (1 if asleep > 0 else 180)


@pytest.mark.parametrize(
    ("poll", "kind", "told"),
    [
        ("expired_token", ExpiredSignInError, "not entered in time"),
        ("access_denied", DeniedError, "access_denied"),
        (
            (400, {"error": "invalid_grant", "error_description": "no \x1b[31msuch\r\n"}),
            SignInError,
            "no [31msuch",
        ),
        ((400, "<html>secret"), SignInError, "sso.example answered 400"),
        ((200, {"token_type": "Bearer"}), SignInError, "without an access_token"),
    ],
)
def test_any_other_answer_ends_it(poll: object, kind: type[SignInError], told: str) -> None:
    """With the standard error's words, and no others of the server's."""
    with pytest.raises(kind) as caught:
        Server({}, PENDING, poll).signs_in(Waiting())
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"verification_uri": None}, "without a code that can be entered, or the address for it"),
        ({"user_code": 5}, "without a code that can be entered"),
        ({"user_code": "AB\x1b]0;owned\x07"}, "without a code that can be entered"),
        ({"user_code": "AB\u202eCD"}, "without a code that can be entered"),
        ({"user_code": "A" * 1000}, "without a code that can be entered"),
        ({"device_code": ""}, "without a device_code"),
        ({"verification_uri": "http://sso.example/device"}, "is not https"),
    ],
)
def test_what_is_not_fit_to_be_shown_is_not(document: dict[str, Any], told: str) -> None:
    """Nor is anybody asked to go there."""
    person = Waiting()
    with pytest.raises(SignInError, match=told) as caught:
        Server(document).signs_in(person)
    assert (person.shown, str(caught.value).isprintable()) == ([], True)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("https://sso.example/device?x=1", None),
        ("https://sso.example:8443", None),
        ("http://127.0.0.1:8080/device", None),
        ("http://localhost/device", None),
        ("http://[::1]:9/", None),
        ("http://127.0.0.1.evil.example/", "is not https"),
        ("ftp://sso.example/", "is not https"),
        ("javascript:alert(1)", "is not https"),
        ("https:///device", "is not https"),
        ("", "is not https"),
        ("https://accounts.example@evil.example/", "holds a user name"),
        ("https://sso.example/\x1b[2J", "holds what no address holds"),
        ("https://sso.example/a b", "holds what no address holds"),
        ("https://sso.example\\@evil.example/", "holds what no address holds"),
        ("https://ex\u0430mple.com/", "holds what no address holds"),
        ("https://sso.example/" + "a" * 3000, "holds what no address holds"),
        ("https://[broken", "is not a URL"),
        ("https://sso.example:port/", "is not a URL"),
    ],
)
def test_an_address_to_open_is_encrypted_and_hides_nothing(address: str, fault: str | None) -> None:
    """Plain http is for this machine alone."""
    assert fault_of(address) == fault


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(900, "15 minutes"), (119, "119 seconds"), (30.5, "30 seconds"), ("1800", "30 minutes"), (-1, "15 minutes")],
)
def test_how_long_a_code_is_good_is_told(seconds: object, told: str) -> None:
    """A quarter of an hour where the server does not say."""
    person = Waiting()
    prompt = prompt_of({**PROMPT, "expires_in": seconds}, "sso.example")
    invite(prompt, person)
    assert any(told in each for each in person.said)
    assert "WDJB" not in repr(prompt)
    assert isinstance(prompt, Prompt)
