"""What goes on a request of a library that has transports of its own: its URL, and what an error may show of it."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.clients.signed import covers, hide_query, sign
from keyfob.credentials.credential import Credential

from .ways import BASE, signing, static

CREDENTIAL = Credential({"X-Key": "secret"})


def provider(**query: str) -> Any:
    return signing(static({"X-Key": "secret"}), query_params=query)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("/models?flag&y=a%20b", "/models?flag&y=a%20b&key=k%20v"),
        ("/models?key=mine&x=1&%6bey=mine#part", "/models?x=1&key=k%20v#part"),
        ("/models", "/models?key=k%20v"),
    ],
)
def test_the_callers_own_query_stays_as_it_is_written(url: str, sent: str) -> None:
    """But for parameters of the same names, however they are encoded."""
    assert sign(provider(key="k v"), CREDENTIAL, "GET", BASE + url, {}, b"") == BASE + sent
    assert sign(provider(), CREDENTIAL, "GET", BASE + url, {}, b"") == BASE + url


@pytest.mark.parametrize("path", ["/v1/../v1/models", "/other/../v1/models", "/v1/./models", "/v1/.."])
def test_a_path_with_dot_segments_is_not_covered(path: str) -> None:
    """These libraries may send them, and what a server makes of them nobody knows."""
    assert not covers(provider(), BASE.removesuffix("/v1") + path)
    assert covers(provider(), f"{BASE}/models/..x")


@pytest.mark.parametrize("error", [OSError(32, f"cannot write to {BASE}?key=k%20v"), ValueError(f"{BASE}?key=k%20v")])
def test_an_error_shows_no_query_of_the_entrys(error: Exception) -> None:
    """Nor does what it was raised from."""
    error.__cause__ = error.__context__ = ValueError("key=k%20v")
    hide_query(provider(key="k v"), error)
    assert "k%20v" not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert f"{BASE}?…" in str(error)
    assert error.__suppress_context__
