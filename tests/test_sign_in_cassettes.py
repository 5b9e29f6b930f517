"""What a certified OAuth server was recorded to answer to sign-ins (scripts/record), replayed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

from . import sign_ins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = sorted(os.listdir(sign_ins.CASSETTES))
# Long words that are no secrets: what metadata is made of, and the claims of an unsigned id token.
_WORD = re.compile(r"[A-Za-z0-9_-]{20,}")


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "program", "expected"), sign_ins.SIGN_INS)
def test_a_sign_in_goes_as_when_it_was_recorded(
    tmp_path: Path, scene: Callable[[sign_ins.Scene], object], program: bool, expected: object
) -> None:
    """Each request is the recorded one, with what the server gave before, or there is no answer to it."""
    person = sign_ins.replaying()
    with sign_ins.recorder().use_cassette(f"{scene.__name__}.yaml") as cassette:
        assert scene(sign_ins.Scene(str(tmp_path), sign_ins.NOWHERE, person, program=program)) == expected
        assert cassette.all_played


def test_another_client_secret_has_no_answer(tmp_path: Path) -> None:
    """Or the tests above would pass with any."""
    scene = sign_ins.Scene(str(tmp_path), sign_ins.NOWHERE, sign_ins.replaying(), "another", program=True)
    with sign_ins.recorder().use_cassette("program.yaml"), pytest.raises(CannotOverwriteExistingCassetteException):
        sign_ins.program(scene)


def test_each_sign_in_is_recorded_and_nothing_else_is_kept() -> None:
    """A cassette that no test plays would grow old unseen."""
    assert sorted(f"{scene.__name__}.yaml" for scene, *_ in sign_ins.SIGN_INS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_no_cassette_holds_a_secret(name: str) -> None:
    """Each secret of a form or an answer is a name, and no other word is long enough to be one."""
    with open(os.path.join(sign_ins.CASSETTES, name), encoding="utf-8") as file:
        interactions = yaml.safe_load(file)["interactions"]
    assert interactions
    for interaction in interactions:
        request, answer = interaction["request"], yaml.safe_load(interaction["response"]["body"]["string"])
        assert request["uri"].startswith(f"{sign_ins.NOWHERE}/")
        assert request["headers"].get("authorization") in (["(client secret)"], ["(none)"])
        for field, value in [*parse_qsl(request["body"] or ""), *answer.items()]:
            if field.endswith(("token", "code", "verifier", "secret")) and field != "id_token":
                assert str(value).startswith("recorded-") or value == "RCRD-CODE", field
            elif field == "id_token":
                assert value.endswith(".c2lnbmF0dXJl"), "the signature is none"
            elif field not in ("error", "grant_type") and not field.endswith(("_supported", "_endpoint", "jwks_uri")):
                assert not [word for word in _WORD.findall(str(value)) if "recorded" not in word], field
