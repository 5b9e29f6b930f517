"""Signing in through the browser: authorization code with PKCE, to a listener on loopback (RFC 6749, 4.1; RFC 8252)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.credentials.exchange import UnansweredError, UnreachableError
from keyfob.errors import DeniedError, KeyfobError, PolicyError
from keyfob.plugin.oauth import pages
from keyfob.plugin.oauth.attempt import Attempt
from keyfob.plugin.oauth.ports import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.plugin.interaction import Interaction
    from keyfob.plugin.oauth.authorization import AuthorizationCode, AuthorizationRequest
    from keyfob.plugin.oauth.pages import Page

# How long a person is given. Seconds.
PATIENCE = 15 * 60.0


@contextlib.contextmanager
def authorize(
    request: AuthorizationRequest, interaction: Interaction, seconds: float = PATIENCE
) -> Iterator[AuthorizationCode]:
    """Send the person to the issuer, and yield what it grants. seconds: how long that may take.

    The browser is told how it ended when the context is left: in good order that all is done, else what went wrong.
    Raises SignInError. What is raised in the context, such as UnreachableError, goes on as it is.
    """
    from keyfob.plugin.oauth.loopback import Listener  # asyncio is for those who sign in, not for those who renew

    with listening(request.ports, ask=request.ask) as held:
        attempt = Attempt(request, held.getsockname()[1])
        with Listener(held, attempt) as listener:
            try:
                interaction.visit(attempt.address, attempt.port)
                interaction.wait(seconds, left=seconds, done=attempt.done, typed=attempt.pasted)
                yield attempt.grant()
            except BaseException as error:
                listener.finish(_page(error))
                raise
            listener.finish(pages.done(request.name))


def _page(error: BaseException) -> Page:
    """It says that nothing was stored only of what is raised before that: a signal may come in the moment after."""
    if isinstance(error, DeniedError):
        return pages.denied(str(error))
    if isinstance(error, PolicyError):
        return pages.forbidden(str(error), error.hint)
    if isinstance(error, KeyfobError):
        return pages.failed(str(error), error.hint)
    if isinstance(error, UnreachableError | UnansweredError):
        return pages.failed(str(error))
    return pages.BROKEN if isinstance(error, Exception) else pages.GIVEN_UP
