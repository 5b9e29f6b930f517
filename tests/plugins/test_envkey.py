"""envkey: the key of an environment variable, as it is when it is asked for."""

from __future__ import annotations

import pytest

from keyfob import CredentialError

TEXT = """
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
"""


def test_the_variable_is_read_when_a_credential_is_asked_for(home):
    """Not before, and again each time."""
    provider = home.provider(TEXT, "lab")
    for value in ("one", " two\n"):
        home.environ["LAB_KEY"] = value
        assert provider.credential().token == value.strip()


@pytest.mark.parametrize(("value", "part"), [("a\nb", "a line break"), ("k-é", "not ASCII"), ("a\x01", "control")])
def test_a_key_that_cannot_be_sent_is_named_by_its_variable(home, value, part):
    """And by nothing of its value; the hint says which variable to set."""
    home.environ["LAB_KEY"] = value
    with pytest.raises(CredentialError, match=rf"the value of LAB_KEY cannot .*{part}") as caught:
        home.provider(TEXT, "lab").credential()
    assert "LAB_KEY" in caught.value.hint
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_an_unset_variable_is_named_with_the_instructions(home, value):
    """The entry may say where the key is to be had."""
    if value is not None:
        home.environ["LAB_KEY"] = value
    text = TEXT + 'env_key_instructions = "Ask in #llm."\n'
    with pytest.raises(CredentialError, match=r"LAB_KEY is not set: Ask in #llm\.") as caught:
        home.provider(text, "lab").credential()
    assert caught.value.hint == "export LAB_KEY=…, or keyfob login lab --with-api-key"
