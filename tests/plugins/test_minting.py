"""A plugin that derives from MintingAuth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError, MissingCredentialError
from keyfob.plugin import (
    Context,
    Exchange,
    MintingAuth,
    NoOptions,
    ProviderInfo,
    UnansweredError,
    UnreachableError,
)
from keyfob.plugin.oauth import expiry

if TYPE_CHECKING:
    from keyfob.credentials.source import CredentialSource


class Plugin(MintingAuth[NoOptions]):
    """Asks with a secret of the environment."""

    key = "acme"

    def mint(self, provider: ProviderInfo, options: NoOptions, context: Context) -> Credential:
        context.send(Exchange("https://issuer.example/token", headers={"X-Secret": context.environ["ACME_SECRET"]}))
        return Credential.bearer("t-1")


def source(environ: dict[str, str], failure: Exception) -> CredentialSource:
    """Its source, where sending fails so."""

    def send(_: Exchange) -> NoReturn:
        raise failure

    return Plugin().open(ProviderInfo("corp", "corp", None), NoOptions(), Context(environ, lambda: 0.0, send))


def test_a_variable_that_is_not_set_is_named() -> None:
    """As for a static plugin: the author need not check."""
    with pytest.raises(MissingCredentialError, match=r"^ACME_SECRET is not set$"):
        source({}, ValueError()).get()


@pytest.mark.parametrize("failure", [UnreachableError, UnansweredError])
def test_an_issuer_that_does_not_answer_is_an_error_of_the_credential(failure: type[Exception]) -> None:
    """It says whose, and why."""
    with pytest.raises(CredentialError, match=r"^corp: issuer\.example is gone$"):
        source({"ACME_SECRET": "s"}, failure("issuer.example is gone")).get()


@pytest.mark.parametrize(
    ("said", "expected"),
    [(60, 160.0), ("60", 160.0), (0, 100.0), (None, None), ("soon", None), (-5, None), (True, None), (1e18, None)],
)
def test_what_an_issuer_says_of_a_lifetime_is_believed_where_it_is_one(said: object, expected: float | None) -> None:
    """A number or a text of digits; of anything else nobody knows."""
    assert expiry({"expires_in": said}, now=100.0) == expected
