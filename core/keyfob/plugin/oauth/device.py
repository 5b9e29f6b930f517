"""Signing in on another device, with a code that is typed there (RFC 8628)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.errors import DisabledFlowError, ExpiredSignInError, SignInError
from keyfob.plugin.oauth import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.exchange import Send
    from keyfob.plugin.interaction import Interaction
    from keyfob.plugin.oauth.client import Client

Found = TypeVar("Found")

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Where the server says none (section 3.2), and how much more it is when it says `slow_down` (section 3.5). Seconds.
USUAL_INTERVAL = 5.0
SLOWER = 5.0
_LONGEST_INTERVAL = 60.0
_LONGEST = 3600.0


class SlowDown(Exception):
    """The issuer wants to be asked less often."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person is shown. seconds: how long the code can be entered. complete: the address with the code."""

    address: str
    code: str = field(repr=False)
    seconds: float
    interval: float
    complete: str | None = field(default=None, repr=False)


def device_tokens(
    client: Client, endpoint: str, token_endpoint: str, fields: Mapping[str, str], send: Send, interaction: Interaction
) -> Mapping[str, Any]:
    """The tokens of a person who signs in on another device.

    endpoint: the device authorization endpoint. fields: of its request, such as `scope`. Raises SignInError,
    UnreachableError, UnansweredError, ConfigError.
    """
    request = client.form(endpoint, {"client_id": client.client_id, **fields})
    answer = send(request)
    if not answer.ok:
        raise answers.refused(answer, request)
    document = answer.document()
    device_code, prompt = answers.text(document, "device_code"), _prompt(document)
    if device_code is None or prompt is None:
        raise SignInError(f"{answers.host(request)} answered without a code to enter")
    polling = client.request(token_endpoint, GRANT, {"device_code": device_code})

    def ask() -> Mapping[str, Any] | None:
        answer = send(polling)
        if answer.ok:
            return answers.tokens(answer, polling)
        code = answers.error_code(answer.document())
        if code == "slow_down":
            raise SlowDown
        if code == "expired_token":
            raise expired()
        if code != "authorization_pending":
            raise answers.refused(answer, polling)
        return None

    invite(prompt, interaction)
    return polled(ask, prompt, interaction)


def _prompt(document: Mapping[str, Any]) -> Prompt | None:
    address, code = answers.text(document, "verification_uri"), answers.text(document, "user_code")
    if address is None or code is None:
        return None
    seconds = seconds_of(document.get("expires_in"), 900.0, _LONGEST)
    interval = seconds_of(document.get("interval"), USUAL_INTERVAL, _LONGEST_INTERVAL)
    return Prompt(answers.plain(address), answers.plain(code), seconds, interval)


def invite(prompt: Prompt, interaction: Interaction) -> None:
    """Show where to go, and what to enter there (section 3.3)."""
    interaction.say("open this address on any device, and sign in:")
    interaction.show(prompt.address)
    interaction.say("then enter this code there; it is good for " + f"{prompt.seconds / 60:.0f} minutes:")
    interaction.show(prompt.code)
    interaction.say("go on only if you started this yourself: whoever gave you a code wants your account")


def polled(ask: Callable[[], Found | None], prompt: Prompt, interaction: Interaction) -> Found:
    """What `ask` finds, asked again and again: None is not yet, SlowDown not so often (section 3.5).

    Raises ExpiredSignInError, and what `ask` raises but for an issuer that is out of reach for a while.
    """
    interval, ends = prompt.interval, time.monotonic() + prompt.seconds
    while (left := ends - time.monotonic()) > 0:
        try:
            found = ask()
        except SlowDown:
            interval += SLOWER
            found = None
        except (UnreachableError, UnansweredError):
            interval = min(2 * max(interval, 1.0), _LONGEST_INTERVAL)
            found = None
        if found is not None:
            return found
        interaction.wait(min(interval, left), left=left)
    raise expired()


def expired() -> ExpiredSignInError:
    """The code was not entered in time."""
    return ExpiredSignInError("the code was not entered in time; nothing was stored")


def disabled(host: str) -> DisabledFlowError:
    """The issuer has no device flow."""
    return DisabledFlowError(f"{host} has signing in with a device code switched off")


def seconds_of(value: object, usual: float, longest: float) -> float:
    """A number of seconds, as number or text of digits; `usual` for anything else."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value.strip()[:9])
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return usual
    return min(float(value), longest)
