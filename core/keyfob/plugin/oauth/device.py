"""Signing in on another device, with a code that is typed there (RFC 8628)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.errors import DisabledFlowError, ExpiredSignInError, SignInError
from keyfob.plugin.addresses import fault_of
from keyfob.plugin.oauth import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.exchange import Answer, Exchange, Send
    from keyfob.plugin.interaction import Interaction
    from keyfob.plugin.oauth.client import Client

Found = TypeVar("Found")

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Where the server says none (section 3.2), and how much more it is when it says `slow_down` (section 3.5). Seconds.
_USUAL_INTERVAL = 5.0
_SLOWER = 5.0
# Nobody enters a code faster than that, whatever the server says. Seconds.
_LEAST_INTERVAL = 1.0
# While the server is out of reach, the pause grows up to this; and where it asks for a longer one, up to that: a person
# is waiting. Seconds.
_LONGEST_PAUSE, _LONGEST_ASKED_FOR = 60.0, 300.0
# What an issuer says who may have no more to say of it the next time, beside nothing (RFC 6749, section 4.1.2.1).
_PASSING = (None, "server_error", "temporarily_unavailable")
# How long a code is good where the server does not say, and at the most. Seconds.
_USUAL_LIFE = 900.0
_LONGEST_LIFE = 3600.0
# Letters. Nobody types a longer code.
_LONGEST_CODE = 100


class SlowDown(Exception):
    """The issuer wants to be asked less often."""


class BusyError(UnansweredError):
    """The issuer, or a gateway before it, cannot answer just now. retry_after: seconds, where it says how long."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after or 0.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person is shown. seconds: how long the code can be entered; interval: between two questions."""

    address: str
    code: str = field(repr=False)
    seconds: float
    interval: float


def device_tokens(
    client: Client,
    endpoint: str,
    token_endpoint: str,
    fields: Mapping[str, str],
    send: Send,
    interaction: Interaction,
    clock: Callable[[], float] = time.time,
) -> Mapping[str, Any]:
    """The tokens of a person who signs in on another device.

    endpoint: the device authorization endpoint. fields: of its request, such as `scope`. clock: seconds since the
    epoch. Raises SignInError, UnreachableError, UnansweredError, ConfigError.
    """
    prompt, device_code = _started(client.device(endpoint, **fields), send)
    request = client.request(token_endpoint, GRANT, {"device_code": device_code})

    def ask() -> Mapping[str, Any] | None:
        answer = send(request)
        if answer.ok:
            return answers.tokens(answer, request)
        check_not_busy(answer, request)
        check_pending(answer, request, pending=answers.error_code(answer.document()) == "authorization_pending")
        return None

    invite(prompt, interaction)
    return poll(ask, prompt, interaction, clock)


def _started(request: Exchange, send: Send) -> tuple[Prompt, str]:
    """What to show, and the code of the device itself."""
    answer = send(request)
    if not answer.ok:
        raise answers.refused(answer, request)
    document = answer.document()
    device_code = answers.text(document, "device_code")
    if device_code is None:
        raise SignInError(f"{answers.host(request)} answered without a device_code")
    return prompt_of(document, answers.host(request)), device_code


def prompt_of(document: Mapping[str, Any], host: str) -> Prompt:
    """What an answer has a person shown (section 3.2). Raises SignInError for what is not fit to be.

    host: who answered. `verification_uri_complete` is left out: it is not for people who read (section 3.3.1), and
    whoever types a code looks at it.
    """
    address = answers.text(document, "verification_uri") or answers.text(document, "verification_url")  # so at Google
    code = (answers.text(document, "user_code") or "").strip()
    if address is None or not code or len(code) > _LONGEST_CODE or not code.isprintable():
        raise SignInError(f"{host} answered without a code that can be entered, or the address for it")
    fault = fault_of(address)
    if fault is not None:
        raise SignInError(f"{host} answered with an address to open that {fault}")
    seconds = min(_seconds(document.get("expires_in")) or _USUAL_LIFE, _LONGEST_LIFE)
    interval = max(_seconds(document.get("interval")) or _USUAL_INTERVAL, _LEAST_INTERVAL)
    # One that is longer than the code lives says nothing: it is in milliseconds, perhaps.
    return Prompt(address, code, seconds, interval if interval < seconds else _USUAL_INTERVAL)


def _seconds(value: object) -> float | None:
    """A number of seconds, as a number or, so at OpenAI, as a text; None for what is none, or not more than 0."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().replace(".", "", 1).isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    return float(min(value, _LONGEST_LIFE))


def invite(prompt: Prompt, interaction: Interaction) -> None:
    """Show where to go, and what to enter there (section 3.3); and warn of who would have others enter it (5.4)."""
    minutes, seconds = divmod(int(prompt.seconds), 60)
    interaction.say("open this address on any device, and sign in:")
    interaction.show(prompt.address)
    good = f"{minutes} minutes" if minutes > 1 else f"{60 * minutes + seconds} seconds"
    interaction.say(f"then enter this code there; it is good for {good}:")
    interaction.show(prompt.code)
    interaction.say("go on only if you started this yourself: whoever gave you a code wants your account")


def poll(
    ask: Callable[[], Found | None],
    prompt: Prompt,
    interaction: Interaction,
    clock: Callable[[], float] = time.time,
) -> Found:
    """What `ask` finds, asked at once and then again and again: None is not yet, SlowDown not so often (section 3.5).

    When time is up it is asked once more: the machine may have slept while the code was entered. clock: seconds since
    the epoch; one that is set back gives nobody more time. Raises ExpiredSignInError, and what `ask` raises but for an
    issuer that is out of reach.
    """
    pace, began, waited = _Pace(prompt.interval, interaction), clock(), 0.0
    while (found := pace.asked(ask)) is None:
        left = prompt.seconds - max(clock() - began, waited)
        if left <= 0:
            raise expired()
        pause = min(pace.pause, left)
        interaction.wait(pause, left=left)
        waited += pause
    return found


class _Pace:
    """How often an issuer is asked. `pause`: seconds until the next question."""

    def __init__(self, interval: float, interaction: Interaction) -> None:
        self.pause = self._interval = interval
        self._interaction = interaction
        self._out_of_reach = False

    def asked(self, ask: Callable[[], Found | None]) -> Found | None:
        """What `ask` finds; None where it has to be asked again."""
        found = None
        try:
            found = ask()
        except SlowDown:  # this holds for all questions from now on
            self._interval += _SLOWER
        except (UnreachableError, UnansweredError) as error:
            self._back_off(error)
            return None
        self.pause, self._out_of_reach = self._interval, False
        return found

    def _back_off(self, error: Exception) -> None:
        if not self._out_of_reach:
            self._interaction.say(f"{error}; it is asked again")
        self._out_of_reach = True
        asked_for = error.retry_after if isinstance(error, BusyError) else 0.0
        self.pause = max(self._interval, min(2 * self.pause, _LONGEST_PAUSE), min(asked_for, _LONGEST_ASKED_FOR))


def check_not_busy(answer: Answer, request: Exchange) -> None:
    """Raise BusyError for what says nothing of the code: a rate limit or a gateway's error, while somebody types."""
    if (answer.status == 429 or answer.status >= 500) and answers.error_code(answer.document()) in _PASSING:
        raise BusyError(f"{answers.host(request)} answered {answer.status}", answer.retry_after)


def check_pending(answer: Answer, request: Exchange, *, pending: bool) -> None:
    """Raise what an answer that is no success says (section 3.5); return where nobody has entered the code yet.

    pending: whether that is what the answer says. Raises SlowDown, SignInError.
    """
    code = answers.error_code(answer.document())
    if code == "slow_down":
        raise SlowDown
    if code == "expired_token":
        raise expired()
    if code == "access_denied" or not pending:
        raise answers.refused(answer, request)


def expired() -> ExpiredSignInError:
    """The code was not entered in time."""
    return ExpiredSignInError("the code was not entered in time; nothing was stored")


def disabled(host: str) -> DisabledFlowError:
    """The issuer has no device flow."""
    return DisabledFlowError(f"{host} has signing in with a device code switched off")
