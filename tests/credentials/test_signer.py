"""The source of a signing plugin, as its base class makes it: which key signs, and what is told where there is none."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError, MissingCredentialError
from keyfob.plugin import Context, Exchange, ProviderInfo, Signer, SigningAuth, SigningKey, Unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST = Unsigned("POST", "https://x.example/?key=canary", {"x-key": "canary"}, b"canary")


class Options(BaseModel):
    secret_env: str = "SECRET"


class Plugin(SigningAuth[Options]):
    key = "sig"
    expires_at: float | None = None

    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        return SigningKey(context.environ[options.secret_env], headers={"X-Id": "a"}, expires_at=self.expires_at)

    def sign(self, request: Unsigned, key: SigningKey, options: Options, context: Context) -> Mapping[str, str]:
        return {"Signature": f"{key.secret} {request.method} {options.secret_env} {context.clock()}"}


def opened(environ: Mapping[str, str], plugin: Plugin | None = None) -> Any:
    source = (plugin or Plugin()).open(
        ProviderInfo("x", "x", None), Options(), Context(environ=environ, clock=lambda: 1000.0)
    )
    assert isinstance(source, Signer)
    return source


def test_each_request_is_signed_with_the_key_that_was_handed_out_for_it() -> None:
    """Even when there is a newer one by then: what is refused is what was signed with."""
    environ = {"SECRET": "one"}
    source = opened(environ)
    assert source.peek() is None, "nothing is fetched before it is asked for"
    first = source.get()
    environ["SECRET"] = "two"
    second = source.get()
    assert source.sign(REQUEST, first) == {"Signature": "one POST SECRET 1000.0"}
    assert source.sign(REQUEST, second) == {"Signature": "two POST SECRET 1000.0"}
    assert dict(second.headers) == {"X-Id": "a"}


def test_the_key_is_at_hand_until_a_variable_that_it_is_made_of_changes() -> None:
    """Any other variable may; one that was not there when it was looked for counts, too."""
    environ = {"SECRET": "one"}

    class Optional(Plugin):
        def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
            return SigningKey(context.environ.get("OTHER") or context.environ["SECRET"])

    source = opened(environ, Optional())
    first = source.get()
    environ["X"] = "x"
    assert source.peek() is source.get() is first
    environ["OTHER"] = "two"
    assert source.peek() is None
    assert source.get().secret == "two"
    del environ["SECRET"]
    assert source.peek().secret == "two", "it was not read"


def test_a_refused_key_that_is_the_only_one_is_the_same_object() -> None:
    """Which says that there is no other; a key that is as good for longer is another."""
    plugin = Plugin()
    source = opened({"SECRET": "one"}, plugin)
    first = source.get()
    assert source.get(rejected=first) is first
    plugin.expires_at = 9000.0
    renewed = opened({"SECRET": "one"}, plugin)
    second = renewed.get()
    plugin.expires_at = 9999.0
    assert renewed.get(rejected=second) is not second


def test_a_variable_that_is_not_set_is_told_by_name() -> None:
    """By `get`, which is asked before anything is signed."""
    with pytest.raises(MissingCredentialError, match=r"^SECRET is not set$"):
        opened({}).get()


class Asking(Plugin):
    """Has its key from a server."""

    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        context.send(Exchange("https://keys.example/"))
        return super().signing_key(provider, options, context)


def test_a_server_that_is_not_reached_is_an_error_of_the_credential() -> None:
    """It says whose, and why: the author need not catch what `context.send` raises."""
    with pytest.raises(CredentialError, match=r"^x: there is no network here$"):
        opened({"SECRET": "one"}, Asking()).get()


def test_neither_key_nor_request_shows_what_it_holds() -> None:
    """Printed or pickled; and there is no token to take from a key."""
    key = SigningKey("canary", headers={"X-Id": "canary"})
    assert "canary" not in f"{key!r} {REQUEST!r}"
    assert key.token is None
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_what_is_no_key_is_not_signed_with() -> None:
    """It would be a header that the plugin meant to be sent."""

    class Wrong(Plugin):
        def signing_key(self, *_: Any) -> Any:
            return Credential({"X-Key": "a"})

    with pytest.raises(TypeError, match="returned a Credential, not a SigningKey"):
        opened({}, Wrong()).get()
