"""Plugins that ask an issuer, each with one fault."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keyfob.plugin import (
    Answer,
    AuthPlugin,
    Context,
    Credential,
    CredentialError,
    CredentialSource,
    ProviderInfo,
    UnansweredError,
    hookimpl,
)
from keyfob.testing.broken.parts import IssuerOptions, Minting, asking


class AsksTwice(Minting):
    key = "asked-once"

    def mint(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> Credential:
        super().mint(provider, options, context)
        return super().mint(provider, options, context)


class Wrapped:
    """A source around another."""

    def __init__(self, inner: CredentialSource) -> None:
        self.inner = inner
        self.opened_in = threading.get_ident()

    def peek(self) -> Credential | None:
        return self.inner.peek()

    def get(self, *, rejected: Credential | None = None) -> Credential:
        return self.inner.get(rejected=rejected)


class OneThreaded(Wrapped):
    """As a handle is that belongs to the thread which made it."""

    def get(self, *, rejected: Credential | None = None) -> Credential:
        if threading.get_ident() != self.opened_in:
            raise CredentialError("this belongs to another thread")
        return self.inner.get(rejected=rejected)


class Belongs(Minting):
    key = "any-thread-may-ask"

    def open(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> CredentialSource:
        return OneThreaded(super().open(provider, options, context))


class Deaf(Wrapped):
    """Does not hear that one was rejected."""

    def get(self, *, rejected: Credential | None = None) -> Credential:
        return self.inner.get()


class Ignores401(Minting):
    key = "401-brings-another-and-403-none"

    def open(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> CredentialSource:
        return Deaf(super().open(provider, options, context))


class LocalTime(Minting):
    key = "expiry-is-in-epoch-seconds"

    def expires_at(self, document: Mapping[str, Any], context: Context) -> float | None:
        ends = super().expires_at(document, context)
        if ends is None or not 0 <= ends < 4e9:
            return ends
        return datetime.fromtimestamp(ends, UTC).replace(tzinfo=None).timestamp()  # as if it were of this time zone


class Trusts(Minting):
    key = "odd-lifetimes-break-nothing"

    def expires_at(self, document: Mapping[str, Any], context: Context) -> float | None:
        seconds = document.get("expires_in")
        if not isinstance(seconds, int | float):
            return super().expires_at(document, context)
        return datetime.fromtimestamp(context.clock() + seconds, UTC).timestamp()  # which ends with the year 9999


class Converts(Minting):
    key = "odd-answers-break-nothing"

    def credential(self, answer: Answer, context: Context) -> Credential:
        token = answer.document().get("access_token")
        return Credential.bearer(str(token)) if token == 5 else super().credential(answer, context)


class TakesPages(Minting):
    key = "a-page-is-no-token"

    def credential(self, answer: Answer, context: Context) -> Credential:
        document = answer.document()
        return Credential.bearer(str(document)) if answer.ok and not document else super().credential(answer, context)


class RaisesItsOwn(Minting):
    key = "a-refusal-is-told"

    def credential(self, answer: Answer, context: Context) -> Credential:
        if answer.status >= 400:
            raise RuntimeError("refused")
        return super().credential(answer, context)


class GivesUp(Minting):
    key = "it-recovers-from-a-connection-that-died"

    dead = False

    def mint(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> Credential:
        if self.dead:
            raise CredentialError("the issuer is dead")
        try:
            return super().mint(provider, options, context)
        except UnansweredError:
            self.dead = True
            raise


class Follows(Minting):
    key = "the-issuer-is-not-followed-elsewhere"

    def mint(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> Credential:
        import httpx

        request = asking(options, context)
        try:
            answer = httpx.post(request.url, content=request.body, headers=dict(request.headers), follow_redirects=True)
        except httpx.HTTPError as error:
            raise CredentialError(f"the issuer gave no token ({type(error).__name__})") from None
        return self.credential(Answer(answer.status_code, answer.content), context)


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """One for each rule that is about such plugins."""
    kinds = (
        AsksTwice, Belongs, Ignores401, LocalTime, Trusts, Converts, TakesPages, RaisesItsOwn, GivesUp, Follows,
    )  # fmt: skip
    return [kind() for kind in kinds]
