"""Whatever stands in a keyring's entries: a login, a damaged login, or no stage; never a crash, never shown."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyfob.credentials.journal import Stage
from keyfob.errors import DamagedLoginError
from keyfob.stores.choice import places

if TYPE_CHECKING:
    from .conftest import Memory

pytestmark = pytest.mark.slow

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def store(memory: Memory):
    with tempfile.TemporaryDirectory() as folder:
        yield places(folder, "openai", "x", lambda _: None)[1]


@QUICK
@given(login=st.dictionaries(st.text(), VALUES, max_size=5))
def test_every_login_comes_back_as_it_was(store, login):
    """Halves of a surrogate pair, control letters and all, in its order."""
    store.write(login)
    assert json.dumps(store.read()) == json.dumps(login)


@QUICK
@given(parent=st.text(), body=st.binary(max_size=300), at=st.floats(0, 1e10), date=st.none() | st.floats(0, 1e10))
def test_every_stage_comes_back_byte_by_byte(store, parent, body, at, date):
    """Whatever an issuer answers."""
    stage = Stage(parent, body, at, date)
    store.put_stage(stage)
    assert store.stage() == stage


@QUICK
@given(text=st.text() | VALUES.map(json.dumps) | st.binary().map(lambda data: data.decode("latin-1")))
def test_whatever_stands_in_the_entry_is_a_login_or_damaged(memory, store, text):
    """And the error does not repeat it."""
    for found in (text, f"canary-{text}"):
        memory.kept["Codex Auth", store._name.username] = found
        assert "canary" not in outcome(store)
        assert memory.kept["Codex Auth", store._name.username] == found


def outcome(store) -> str:
    """What reading comes to."""
    try:
        return type(store.read()).__name__
    except DamagedLoginError as error:
        return str(error)


@QUICK
@given(text=st.text() | st.text().map(lambda rest: '{"parent":"p","bytes":1}\n' + rest))
def test_whatever_stands_in_the_stage_is_one_or_none(memory, store, text):
    """A renewal goes on in either case."""
    memory.kept["keyfob", store._stage_name.username] = text
    found = store.stage()
    assert found is None or text.encode("latin-1") == text.partition("\n")[0].encode() + b"\n" + found.body
