"""Fakes for the tests of programs that use keyfob: a provider that needs no files, no plugin and no network.

provider = fake_provider(tokens=["t1", "t2"])         # after a 401, t2
answers = httpx.MockTransport(lambda request: httpx.Response(200))
with keyfob.httpx.Client(provider, transport=answers) as client:
    client.get("models")

with in_use(fake_provider("corp")):                   # keyfob.provider("corp") is the fake now
    the_program()
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keyfob import api
from keyfob.errors import CredentialError, NotSignedInError
from keyfob.plugin import Context, Credential, NoOptions, ProviderInfo
from keyfob.testing.hosts import GivenHost, plugins_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from keyfob.providers import Provider

_KEY = "fake"


class FakeSource:
    """Yields one credential after another: the next when one is rejected, or when an error has been raised."""

    def __init__(self, credentials: Sequence[Credential | CredentialError]) -> None:
        self._credentials = credentials
        self._at = 0
        self._lock = threading.Lock()

    def peek(self) -> Credential | None:
        """The credential, unless it is an error's turn."""
        now = self._credentials[self._at]
        return now if isinstance(now, Credential) else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The credential, or the one after the rejected; the last stays. Raises the error whose turn it is."""
        with self._lock:
            if rejected is self._credentials[self._at]:
                self._pass_on()
            now = self._credentials[self._at]
            if isinstance(now, CredentialError):
                self._pass_on()
                raise now
        return now

    def _pass_on(self) -> None:
        self._at = min(self._at + 1, len(self._credentials) - 1)


class _Fake:
    """The plugin of one fake."""

    key = _KEY
    options = NoOptions

    def __init__(self, source: FakeSource) -> None:
        self._source = source

    def open(self, provider: ProviderInfo, options: NoOptions, context: Context) -> FakeSource:
        return self._source


def fake_provider(
    provider: str = "fake",
    *,
    tokens: Sequence[str | CredentialError] = ("fake-token",),
    header: str = "Authorization",
    base_url: str = "https://fake.invalid/v1",
    **entry: Any,
) -> Provider:
    """A provider that behaves as a configured one does, and is made of nothing but this.

    tokens: what it is sent with: after each 401 the next one, the last again and again. An error is raised when its
    turn comes, once unless it is the last; none at all is a NotSignedInError. header: the one they are sent in,
    `Authorization` as a bearer token (RFC 6750, section 2.1), any other as they are. base_url: at a domain that never
    exists (RFC 2606), so that what is sent in earnest fails. entry: further keys of the entry, such as http_headers.
    Raises TypeError for tokens that are none.
    """
    if isinstance(tokens, str):
        raise TypeError("tokens: a sequence of tokens, such as [token], not one")
    given = [_credential(token, header) for token in tokens] or [_signed_out(provider)]
    data: Mapping[str, Any] = {
        "model_provider": provider,
        "model_providers": {provider: {"base_url": base_url, **entry, _KEY: {}}},
    }
    return GivenHost(data, {}, plugins=plugins_of(_Fake(FakeSource(given)))).provider(provider)


def _credential(token: str | CredentialError, header: str) -> Credential | CredentialError:
    if isinstance(token, CredentialError):
        return token
    if not isinstance(token, str):
        raise TypeError(f"tokens: each is a str or a CredentialError, not a {type(token).__name__}")
    return Credential.bearer(token) if header.lower() == "authorization" else Credential({header: token})


def _signed_out(provider: str) -> CredentialError:
    return NotSignedInError(f"{provider}: nobody is signed in", hint=f"keyfob login {provider}")


@contextmanager
def in_use(provider: Provider) -> Iterator[None]:
    """Have everything in this process that names a provider of its own host find this one's, and no other.

    So a program that says `keyfob.httpx.Client("corp")` gets the fake "corp", and one that names no provider, too.
    """
    with api.using(provider.host):
        yield
