"""One token for those who take one: whether a provider has it, and the environment variables that carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.errors import UsageError

if TYPE_CHECKING:
    from keyfob.credentials.credential import Credential
    from keyfob.providers import Provider

BASE_URL, API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
# What OpenAI's SDK sends besides, which is meant for OpenAI and for nobody else.
_FOR_OPENAI = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS")


def with_token(provider: Provider) -> Credential:
    """The provider's credential, which has a token. May block.

    Raises UsageError for a provider that is not authenticated by a single token, CredentialError.
    """
    if provider.signing.signer is not None:
        raise UsageError(
            f"{provider.id} signs each request: there is no token", hint=f"keyfob request PATH --provider {provider.id}"
        )
    credential = provider.credential()
    if not credential.headers:
        raise UsageError(f"{provider.id} needs no token", hint=f"keyfob explain {provider.id}")
    if credential.token is None:
        names = ", ".join(credential.headers)
        message = f"{provider.id} is not authenticated by a single token, but by {names}"
        raise UsageError(message, hint=f"keyfob headers {provider.id}")
    return credential


def variables(provider: Provider) -> dict[str, str | None]:
    """What to set for a program that reads OpenAI's variables; None: to be unset. May block.

    A provider without authentication must not get whatever key the environment holds. Raises as `with_token`, and
    UsageError where the token does not travel as a bearer token: with these variables it would.
    """
    found: dict[str, str | None] = dict.fromkeys(() if provider.route.plugin == "openai" else _FOR_OPENAI)
    found[BASE_URL] = str(provider.base_url)
    if provider.signing.signer is None and not provider.credential().headers:
        return {**found, API_KEY: None}
    credential = with_token(provider)
    if credential.headers.get("Authorization") != f"Bearer {credential.token}":
        names = ", ".join(credential.headers)
        raise UsageError(f"{provider.id} sends {names}, which {API_KEY} cannot", hint=f"keyfob headers {provider.id}")
    return {**found, API_KEY: credential.token}
