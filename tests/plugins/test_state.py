"""What a plugin can tell of its state."""

from __future__ import annotations

import pytest

from keyfob.plugin import State


@pytest.mark.parametrize(
    ("environ", "ready", "summary"),
    [
        ({"LAB_KEY": "k"}, True, "ready"),
        ({}, False, "`LAB_KEY` not set"),
        ({"LAB_KEY": " "}, False, "`LAB_KEY` not set"),
    ],
)
def test_a_credential_in_a_variable(environ: dict[str, str], ready: bool, summary: str) -> None:
    """It is ready where the variable is more than blanks, and names it in any case."""
    expected = State(ready, summary, "environment variable LAB_KEY", headers=("X-Key",))
    assert State.of_variable(environ, "LAB_KEY", headers=("X-Key",)) == expected
