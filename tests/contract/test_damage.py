"""What the contract kit does to an issuer's answers."""

from __future__ import annotations

import json

import pytest

from keyfob.testing.answers import Answer
from keyfob.testing.contract.damage import DAMAGE, damaged, document_of, fields_of, without

DOCUMENT = {"auth": {"token": "t", "lease": 60}, "kind": "kv"}


@pytest.mark.parametrize("body", [DOCUMENT, json.dumps(DOCUMENT), json.dumps(DOCUMENT).encode()])
def test_every_field_is_damaged_alone(body: object) -> None:
    """Also those of a document within the document, however the test's issuer writes its answer."""
    answer = Answer(201, {"X-Lease": "1"}, body)
    places = dict(fields_of(document_of(answer)))
    assert places == {("auth",): DOCUMENT["auth"], ("auth", "token"): "t", ("auth", "lease"): 60, ("kind",): "kv"}
    odd = damaged(answer, ("auth", "token"), None)
    assert (odd.status, odd.headers) == (201, {"X-Lease": "1"})
    assert odd.body == {**DOCUMENT, "auth": {"token": None, "lease": 60}}
    assert damaged(answer, ("auth", "token"), DAMAGE["is missing"]).body == {**DOCUMENT, "auth": {"lease": 60}}
    assert damaged(answer, ("kind",), DAMAGE["is missing"]).body == {"auth": DOCUMENT["auth"]}


@pytest.mark.parametrize("body", [None, "<!doctype html>", b"[1]", [1]])
def test_what_is_no_document_has_no_fields(body: object) -> None:
    """Then there is nothing to damage."""
    assert list(fields_of(document_of(Answer(body=body)))) == []


def test_a_value_is_taken_out_wherever_it_is() -> None:
    """As an issuer leaves out a refresh token, in words of its own."""
    document = {"session": {"key": "a", "next": "r"}, "refresh_token": "r", "life": 5}
    assert without(document, "r") == {"session": {"key": "a"}, "life": 5}
