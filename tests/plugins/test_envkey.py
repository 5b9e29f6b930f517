"""envkey: the key of an environment variable, as it is when it is asked for; else the stored one."""

from __future__ import annotations

import json
import os

import pytest

from keyfob import CredentialError
from keyfob.errors import DamagedLoginError, MissingCredentialError, OtherOriginError

TEXT = """
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
"""
STORED = "keyfob/envkey/lab.json"


def store(home, **fields):
    """A stored key; fields: others than those of a sound one."""
    path = home.folder / STORED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"origin": "https://lab.example", "api_key": "sk-stored", **fields}))
    path.chmod(0o600)


def test_the_variable_is_read_when_a_credential_is_asked_for(home):
    """Not before, and again each time."""
    provider = home.provider(TEXT, "lab")
    for value in ("one", " two\n"):
        home.environ["LAB_KEY"] = value
        assert provider.credential().token == value.strip()


def test_while_nothing_changes_it_is_one_credential(home):
    """So that whoever was refused with it knows that there is no other."""
    home.environ["LAB_KEY"] = "one"
    source = home.provider(TEXT, "lab").source
    first = source.get()
    assert source.peek() is source.get() is source.get(rejected=first) is first
    home.environ["LAB_KEY"] = "two"
    assert source.peek() is not first
    assert source.get(rejected=first).token == "two"


@pytest.mark.parametrize(("value", "part"), [("a\nb", "a line break"), ("k-é", "not ASCII"), ("a\x01", "control")])
def test_a_key_that_cannot_be_sent_is_named_by_its_variable(home, value, part):
    """And by nothing of its value; the hint says which variable to set. A stored key does not cover for it."""
    store(home)
    home.environ["LAB_KEY"] = value
    with pytest.raises(CredentialError, match=rf"the value of LAB_KEY cannot .*{part}") as caught:
        home.provider(TEXT, "lab").credential()
    assert "LAB_KEY" in caught.value.hint
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_an_unset_variable_is_named_with_the_instructions(home, value):
    """The entry may say where the key is to be had; the hint names both ways to give it."""
    if value is not None:
        home.environ["LAB_KEY"] = value
    text = TEXT + 'env_key_instructions = "Ask in #llm."\n'
    with pytest.raises(MissingCredentialError, match=r"LAB_KEY is not set: Ask in #llm\.") as caught:
        home.provider(text, "lab").credential()
    assert caught.value.hint == "export LAB_KEY=…, or keyfob login lab --with-api-key"


# The stored key


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_without_the_variable_the_stored_key_is_used(home, value):
    """Blank is unset."""
    store(home)
    if value is not None:
        home.environ["LAB_KEY"] = value
    provider = home.provider(TEXT, "lab")
    assert provider.headers()["Authorization"] == "Bearer sk-stored"
    assert provider.explain().comes_from == str(home.folder / STORED)


def test_the_variable_wins_as_soon_as_it_is_set_and_no_longer(home):
    """Without starting anew."""
    store(home)
    provider = home.provider(TEXT, "lab")
    for value, token in ((None, "sk-stored"), ("sk-variable", "sk-variable"), ("", "sk-stored")):
        if value is not None:
            home.environ["LAB_KEY"] = value
        assert provider.credential().token == token
    home.environ["LAB_KEY"] = "sk-variable"
    assert provider.explain().comes_from == "environment variable LAB_KEY"


def test_a_key_that_is_stored_later_is_found(home):
    """By a program that began without."""
    provider = home.provider(TEXT, "lab")
    with pytest.raises(MissingCredentialError):
        provider.credential()
    store(home)
    assert provider.credential().token == "sk-stored"


@pytest.mark.parametrize("origin", ["https://other.example", "http://lab.example", "https://lab.example:8443", None, 1])
def test_a_key_that_was_stored_for_another_origin_is_not_used(home, origin):
    """Whoever can write the configuration must not be able to send a key elsewhere."""
    store(home, origin=origin)
    provider = home.provider(TEXT, "lab")
    with pytest.raises(OtherOriginError, match=r"not for https://lab\.example") as caught:
        provider.credential()
    assert caught.value.hint == "keyfob login lab --with-api-key"
    assert "sk-stored" not in str(caught.value)
    assert provider.explain().state == "stored for another configuration"


def test_two_providers_do_not_share_a_key(home):
    """Not even of one origin."""
    store(home)
    text = TEXT + TEXT.replace("model_providers.lab", "model_providers.other")
    with pytest.raises(MissingCredentialError):
        home.provider(text, "other").credential()


@pytest.mark.parametrize("key", [None, "", 1, ["sk-stored"]])
def test_a_stored_key_that_is_none_is_damaged(home, key):
    """It is never taken for "not signed in"."""
    store(home, api_key=key)
    with pytest.raises(DamagedLoginError, match="api_key"):
        home.provider(TEXT, "lab").credential()


def test_rules_on_openais_logins_are_not_about_it(home):
    """Another provider's own key is nobody's business; what goes to OpenAI is."""
    store(home)
    assert home.provider(f'forced_login_method = "chatgpt"\n{TEXT}', "lab").credential().token == "sk-stored"
    store(home, origin="https://api.openai.com")
    text = TEXT.replace("lab.example", "api.openai.com")
    with pytest.raises(CredentialError, match="forced_login_method"):
        home.provider(f'forced_login_method = "chatgpt"\n{text}', "lab").credential()


def test_an_id_that_is_no_file_name_stays_in_its_folder(home):
    """It is the user's to choose."""
    text = TEXT.replace("model_providers.lab", 'model_providers."../../x"')
    login = home.provider(text, "../../x").login
    assert os.path.dirname(login.store.place) == str(home.folder / "keyfob" / "envkey")
