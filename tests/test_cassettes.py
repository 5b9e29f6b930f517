"""What the demo server and LiteLLM's proxy were recorded to answer (scripts/record), replayed to keyfob's clients."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

import keyfob.httpx
import keyfob.httpx2

from . import exchanges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVERS = ("demo", "litellm")
FILES = sorted(os.listdir(exchanges.CASSETTES))


@pytest.mark.parametrize("library", [keyfob.httpx, keyfob.httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("exchange", "key", "read"), exchanges.EXCHANGES)
def test_the_answer_is_read_as_when_it_was_recorded(
    tmp_path: Path, library: Any, server: str, exchange: Callable[[Any], Any], key: str, read: Any
) -> None:
    """The request is the recorded one, with the right headers, or there is no answer to it."""
    host = exchanges.host(str(tmp_path), exchanges.NOWHERE, key)
    with exchanges.recorder().use_cassette(f"{server}-{exchange.__name__}.yaml") as cassette:
        with library.Client("recorded", host=host) as client:
            assert exchange(client) == read
        assert cassette.all_played


def test_another_key_has_no_answer(tmp_path: Path) -> None:
    """Or the tests above would pass with any key."""
    host = exchanges.host(str(tmp_path), exchanges.NOWHERE, "wrong")
    with (
        exchanges.recorder().use_cassette("demo-models.yaml"),
        keyfob.httpx.Client("recorded", host=host) as client,
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        exchanges.models(client)


def test_each_exchange_is_recorded_and_nothing_else_is_kept() -> None:
    """A cassette that no test plays would grow old unseen."""
    expected = [f"{server}-{exchange.__name__}.yaml" for server in SERVERS for exchange, *_ in exchanges.EXCHANGES]
    assert sorted(expected) == FILES


@pytest.mark.parametrize("name", FILES)
def test_no_cassette_holds_a_secret(name: str) -> None:
    """Neither one that we know, nor anything in a header that carries them."""
    with open(os.path.join(exchanges.CASSETTES, name), encoding="utf-8") as file:
        text = file.read()
    assert "8d1f4e" not in text, "the part that all recorded keys have in common"
    for interaction in yaml.safe_load(text)["interactions"]:
        headers = {name.lower(): value for name, value in interaction["request"]["headers"].items()}
        assert set(headers) <= {"authorization", "content-type", "x-team-key"}
        assert headers["authorization"] in (["Bearer (right key)"], ["Bearer (wrong key)"])
        assert headers["x-team-key"] == ["(team key)"]
        assert {name.lower() for name in interaction["response"]["headers"]} <= {"content-type"}
        assert interaction["request"]["uri"].startswith(f"{exchanges.NOWHERE}/v1/")
