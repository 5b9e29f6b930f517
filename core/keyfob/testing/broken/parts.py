"""What the broken plugins have in common, and do right: each is one of these with one thing changed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from keyfob.plugin import (
    Context,
    Credential,
    CredentialError,
    DamagedLoginError,
    Exchange,
    MintingAuth,
    MissingCredentialError,
    ProviderInfo,
    Record,
    Rotation,
    SigningAuth,
    SigningKey,
    StaticAuth,
    StoredAuth,
    Unsigned,
    check_secret,
)
from keyfob.plugin.oauth import expiry

if TYPE_CHECKING:
    from keyfob.plugin import Answer

VARIABLE = "BROKEN_KEY"


class Options(BaseModel):
    """The table of a plugin that needs a key."""

    model_config = ConfigDict(extra="forbid")

    key_env: str = VARIABLE


class IssuerOptions(Options):
    """The table of a plugin that asks an issuer."""

    token_url: str


def value_of(options: Options, context: Context) -> str:
    """The variable's value. Raises MissingCredentialError, IllegalHeaderError."""
    value = context.environ.get(options.key_env, "")
    if not value.strip():
        raise MissingCredentialError(f"{options.key_env} is not set")
    check_secret(value, f"the value of {options.key_env}")
    return value


class Static(StaticAuth[Options]):
    """A key in a header of its own."""

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        return {"X-Key": value_of(options, context)}


class HeldSource:
    """A source that is no StaticSource: what it holds is told by nothing."""

    def __init__(self, options: Options, context: Context) -> None:
        self._options, self._context = options, context
        self._held: Credential | None = None

    def made(self) -> Credential:
        """A new credential."""
        return Credential({"X-Key": value_of(self._options, self._context)})

    def peek(self) -> Credential | None:
        return None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The one that is held, as long as the variable's value is the same."""
        made = self.made()
        if self._held is None or dict(self._held.headers) != dict(made.headers):
            self._held = made
        return self._held


class Minting(MintingAuth[IssuerOptions]):
    """A token for a client's secret (RFC 6749, section 4.4)."""

    def mint(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> Credential:
        answer = context.send(asking(options, context))
        return self.credential(answer, context)

    def credential(self, answer: Answer, context: Context) -> Credential:
        """The credential in the issuer's answer."""
        document = answer.document()
        if not answer.ok or not isinstance(document.get("access_token"), str):
            raise CredentialError(f"the issuer answered {answer.status} without a token")
        return Credential.bearer(document["access_token"], expires_at=self.expires_at(document, context))

    def expires_at(self, document: Mapping[str, Any], context: Context) -> float | None:
        """When it expires; seconds since the epoch."""
        return expiry(document, context.clock())


def asking(options: IssuerOptions, context: Context) -> Exchange:
    """The request for a token."""
    secret = value_of(options, context)
    return Exchange(options.token_url, urlencode({"client_secret": secret}).encode(), _FORM)


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Logins(Rotation):
    """Logins that are renewed by a refresh token."""

    def __init__(self, options: IssuerOptions, context: Context) -> None:
        self.options, self.context = options, context

    def read(self, data: Mapping[str, Any]) -> Record:
        access, refresh, ends = data.get("access"), data.get("refresh"), data.get("expires_at")
        if not isinstance(access, str) or not isinstance(refresh, str | None):
            raise DamagedLoginError("the stored login holds no tokens")
        if not isinstance(ends, int | float | None):
            raise DamagedLoginError("expires_at is no time")
        return Record(data, access, secret=refresh, expires_at=ends)

    def data_for(self, method: str, secret: str) -> Mapping[str, Any]:
        return {"access": secret, "refresh": None, "expires_at": None}

    def credential(self, record: Record) -> Credential:
        return Credential.bearer(record.token, expires_at=record.expires_at)

    def exchange(self, record: Record, reason: str) -> Exchange:
        body = urlencode({"grant_type": "refresh_token", "refresh_token": record.secret or ""})
        return Exchange(self.options.token_url, body.encode(), _FORM)

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**record.data, **self.tokens(record, answer)}

    def tokens(self, record: Record, answer: Mapping[str, Any]) -> dict[str, Any]:
        """What the issuer has sent, as it is stored. Raises ValueError."""
        access = answer.get("access_token")
        if not isinstance(access, str):
            raise ValueError("there is no access_token")
        refresh = answer.get("refresh_token", record.secret)
        return {"access": access, "refresh": refresh, "expires_at": expiry(answer, self.context.clock())}


class Rotating(StoredAuth[IssuerOptions]):
    """Logins of that kind. kind: which."""

    kind: type[Logins] = Logins

    def records(self, provider: ProviderInfo, options: IssuerOptions, context: Context) -> Logins:
        return self.kind(options, context)


class Signing(SigningAuth[Options]):
    """A keyed hash of the request, and of a nonce."""

    def max_age(self, options: Options) -> float | None:
        return 0.0

    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        return SigningKey(value_of(options, context).encode())

    def sign(self, request: Unsigned, key: SigningKey, options: Options, context: Context) -> Mapping[str, str]:
        nonce = secrets.token_hex(8)
        return {"X-Nonce": nonce, "X-Signature": self.signature(request, key.secret + nonce.encode())}

    def signature(self, request: Unsigned, secret: bytes) -> str:
        """The hash."""
        covered = f"{request.method} {request.url}\n".encode() + request.body
        return hmac.new(secret, covered, hashlib.sha256).hexdigest()
