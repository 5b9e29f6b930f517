"""The plugins that keep nothing: bearer, none, and openai until sign-in is built."""

from __future__ import annotations

import pytest

from keyfob.errors import IllegalHeaderError, MissingCredentialError, NotSignedInError

X = "[model_providers.x]\nbase_url = 'https://x.example/v1'\n"


@pytest.mark.parametrize(("written", "sent"), [("bt", "bt"), ("  bt \\n", "bt"), ("b t", "b t")])
def test_bearer_sends_what_is_written(home, written, sent):
    """Blanks around it trimmed; Codex sends them."""
    provider = home.provider(f'{X}experimental_bearer_token = "{written}"')
    assert dict(provider.headers()) == {"Authorization": f"Bearer {sent}"}
    assert provider.credential().token == sent
    assert provider.state().ready


@pytest.mark.parametrize(
    ("written", "error", "state"),
    [
        ("", MissingCredentialError, "empty"),
        ("  ", MissingCredentialError, "empty"),
        ("canary\\nx", IllegalHeaderError, "a line break"),
        ("canary\\u0000", IllegalHeaderError, "a control character"),
        ("canary-ü", IllegalHeaderError, "a character that is not ASCII, in place 8"),
    ],
)
def test_a_bearer_token_that_cannot_be_sent(home, written, error, state):
    """Is an error, not a request without it; neither text shows it."""
    provider = home.provider(f'{X}experimental_bearer_token = "{written}"')
    with pytest.raises(error, match="experimental_bearer_token") as caught:
        provider.headers()
    found = provider.state()
    assert not found.ready
    assert found.summary == f"`experimental_bearer_token` is unusable: {state}"
    assert "canary" not in f"{caught.value} {caught.value.hint} {found} {provider.options!r} {provider.entry!r}"


def test_none_adds_nothing(home):
    """And is always ready."""
    provider = home.provider(X)
    assert dict(provider.headers()) == {}
    assert provider.credential().token is None
    assert provider.state().ready
    assert provider.state().headers == ()


@pytest.mark.parametrize("text", ["", f"{X}requires_openai_auth = true"])
def test_openai_is_not_signed_in(home, text):
    """Routed and reported, until its plugin is built; nothing is sent meanwhile."""
    provider = home.provider(text, "x" if text else "openai")
    with pytest.raises(NotSignedInError):
        provider.headers()
    assert provider.state().summary == "not signed in"
    assert str(provider.base_url) == ("https://x.example/v1" if text else "https://api.openai.com/v1")
