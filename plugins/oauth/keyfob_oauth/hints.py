"""What to look at where an issuer refuses a sign-in, or nobody finds it: the same command again would mend neither."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from keyfob.plugin import SignInError, UnreachableError
from keyfob_oauth.options import Options

# The keys that decide on what an issuer refuses (RFC 6749, sections 4.1.2.1 and 5.2; RFC 8707, section 2).
_KEYS = {
    "invalid_client": "client_id",
    "unauthorized_client": "client_id and its flow",  # some issuers say it of a wrong secret, too
    "unsupported_grant_type": "flow",
    "unsupported_response_type": "flow",
    "invalid_scope": "scopes",
    "invalid_target": "resource and its audience",
    "invalid_request": "",  # any of them
}
_OF_CLIENTS = ("invalid_client", "unauthorized_client")


def table(provider: str) -> str:
    """The provider's table, as messages name it."""
    return f"model_providers.{provider}.oauth"


@contextlib.contextmanager
def hinted(provider: str, options: Options) -> Iterator[None]:
    """Around a sign-in: an error that has no hint gets the one to the key that is likely wrong.

    Raises SignInError in the place of UnreachableError for a host that nobody knows.
    """
    try:
        yield
    except SignInError as error:
        error.hint = error.hint or _of_code(error.error, provider, options)
        raise
    except UnreachableError as error:
        if not error.unknown:
            raise
        key = "issuer" if options.discovers else ""
        raise SignInError(f"{provider}: {error}", hint=f"{look_at(provider, key)}; it may need a VPN") from error


@contextlib.contextmanager
def looking_at(provider: str, key: str) -> Iterator[None]:
    """Around what one key decides: an error that has no hint names it."""
    try:
        yield
    except SignInError as error:
        error.hint = error.hint or look_at(provider, key)
        raise


def look_at(provider: str, key: str) -> str:
    """A hint to a key of the table; "" is the table itself."""
    return f"look at {table(provider)}.{key}".rstrip(".")


def _of_code(code: str | None, provider: str, options: Options) -> str | None:
    key = _KEYS.get(code or "")
    if key is None:
        return None
    hint = look_at(provider, key)
    if code not in _OF_CLIENTS or not options.confidential:
        return hint
    variable = options.client_secret_env
    return f"{hint}, or export {variable}=… anew" if variable else f"{hint}, and at the secret that was given"
