"""Signing in through the browser: authorization code with PKCE, to a listener on loopback (RFC 6749, 4.1; RFC 8252)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from keyfob.errors import DeniedError, KeyfobError, PolicyError
from keyfob.plugin.oauth import pages
from keyfob.plugin.oauth.attempt import Attempt, Granted
from keyfob.plugin.oauth.loopback import ADDRESS, Listener
from keyfob.plugin.oauth.proof import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyfob.plugin.interaction import Interaction
    from keyfob.plugin.oauth.pages import Page

__all__ = ["Granted", "Wanted", "granted"]

# How long a person is given. Seconds.
PATIENCE = 15 * 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in asks for, and where the browser is to come back to.

    endpoint: the authorization endpoint. fields: of its request, beside those that every such request has. ports: on
    loopback, tried in this order; 0 is any. host: how the redirect URI names loopback. ask: ask a sign-in that holds
    the first port to give it up.
    """

    endpoint: str
    client_id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    issuer: str | None = None
    announces_iss: bool = False
    ports: tuple[int, ...] = (0,)
    host: str = ADDRESS
    path: str = "/callback"
    ask: bool = False


@contextlib.contextmanager
def granted(wanted: Wanted, interaction: Interaction, seconds: float = PATIENCE) -> Iterator[Granted]:
    """Send the person to the issuer, and yield what it grants.

    The browser is told how it ended when the context is left: in good order that all is done, else what went wrong.
    Raises SignInError.
    """
    with Listener(wanted.ports, wanted.path, ask=wanted.ask) as listener:
        proof = Proof.new()
        redirect_uri = f"http://{wanted.host}:{listener.port}{wanted.path}"
        attempt = Attempt(proof, redirect_uri, wanted.issuer, announces_iss=wanted.announces_iss)
        listener.attempt = attempt
        _invite(_address(wanted, proof, redirect_uri), listener.port, interaction)
        interaction.wait(seconds, left=seconds, done=attempt.done, typed=attempt.pasted)
        try:
            yield attempt.granted()
        except BaseException as error:
            listener.finish(_page(error))
            raise
        listener.finish(pages.DONE)


def _address(wanted: Wanted, proof: Proof, redirect_uri: str) -> str:
    fields = {
        "response_type": "code",
        "client_id": wanted.client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
        "state": proof.state,
        **wanted.fields,
    }
    return f"{wanted.endpoint}{'&' if '?' in wanted.endpoint else '?'}{urlencode(fields)}"


def _invite(address: str, port: int, interaction: Interaction) -> None:
    interaction.say("sign in in your browser; if it did not open, open this address:")
    interaction.show(address)
    interaction.say(
        f"is the browser on another machine than this? Run `ssh -L {port}:{ADDRESS}:{port}` to here from there first, "
        "or paste the address that it ends at, which it cannot load, into this terminal"
    )
    interaction.open(address)


def _page(error: BaseException) -> Page:
    if isinstance(error, DeniedError):
        return pages.denied(str(error))
    if isinstance(error, PolicyError):
        return pages.forbidden(str(error))
    return pages.failed(str(error) if isinstance(error, KeyfobError) else "Something went wrong.")
