"""Credentials and their headers: what they hold, what they refuse, what they show."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.credentials.asking import VARIABLE, asked, asking
from keyfob.credentials.credential import Credential, SecretHeaders, check_header
from keyfob.credentials.headers import illegal_part
from keyfob.errors import IllegalHeaderError

SECRET = "sk-secret"


class TestCredential:
    def test_a_bearer_token_is_one_header(self) -> None:
        """RFC 6750; the token by itself is kept for those who ask for it."""
        credential = Credential.bearer(SECRET, expires_at=1.5)
        assert dict(credential.headers) == {"Authorization": f"Bearer {SECRET}"}
        assert (credential.token, credential.expires_at) == (SECRET, 1.5)

    @pytest.mark.parametrize(
        ("headers", "token"),
        [
            ({}, None),
            ({"X-Key": SECRET}, SECRET),
            ({"authorization": f"Bearer {SECRET}"}, SECRET),
            ({"Authorization": f"Basic {SECRET}"}, None),
            ({"Authorization": f"Bearer {SECRET}", "X-Org": "a"}, None),
        ],
    )
    def test_the_token_is_the_one_secret_there_is(self, headers: dict[str, str], token: str | None) -> None:
        """Of several, or of another scheme, there is no such thing."""
        assert Credential(headers).token == token

    def test_its_headers_do_not_change_with_what_they_were_made_of(self) -> None:
        """Nor can they be changed."""
        given = {"X-Key": SECRET}
        credential = Credential(given)
        given["X-Key"] = "other"
        assert credential.headers["x-key"] == SECRET
        with pytest.raises(TypeError):
            credential.headers["X-Key"] = "other"  # type: ignore[index]

    def test_two_are_the_same_only_if_they_are_one(self) -> None:
        """So that a refused one is known again."""
        assert Credential.bearer(SECRET) != Credential.bearer(SECRET)

    @pytest.mark.parametrize("show", [repr, str, "{}".format, lambda each: f"{[each]}"])
    def test_it_shows_names_and_no_values(self, show: Any) -> None:
        """However it is printed."""
        credential = Credential({"Authorization": f"Bearer {SECRET}", "X-Key": SECRET})
        for each in (credential, credential.headers):
            assert SECRET not in show(each)
            assert "Authorization, X-Key" in show(each)
        assert "none" in show(Credential({}))

    @pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_is_not_pickled(self, copied: Any) -> None:
        """Neither by itself nor its headers."""
        for each in (Credential.bearer(SECRET), Credential.bearer(SECRET).headers):
            with pytest.raises(TypeError, match="not pickled"):
                copied(each)


class TestHeaders:
    def test_names_compare_without_case(self) -> None:
        """And are shown as they were written."""
        headers = SecretHeaders({"X-Key": SECRET})
        assert headers["x-KEY"] == headers["X-Key"] == SECRET
        assert list(headers) == ["X-Key"]
        assert "x-key" in headers
        assert headers.get("X-Other") is None
        with pytest.raises(KeyError, match="X-Other"):
            headers["X-Other"]

    @pytest.mark.parametrize(
        ("value", "part"),
        [
            ("a\nb", "a line break"),
            ("a\rb", "a line break"),
            ("é\n", "a line break"),
            ("abcé", "a character that is not ASCII, in place 4"),
            ("a\u2028", "a character that is not ASCII, in place 2"),
            ("a\0b", "a control character"),
            ("a\x7f", "a control character"),
            ("a\x0bb", "a control character"),
            (" a", "blanks around it"),
            ("a\t", "blanks around it"),
        ],
    )
    def test_an_illegal_value_is_refused_and_not_repeated(self, value: str, part: str) -> None:
        """The error says whose value it is, and what about it is illegal."""
        assert illegal_part(value) == part
        with pytest.raises(IllegalHeaderError) as caught:
            Credential({"X-Key": SECRET + value if not value.startswith(" ") else value + SECRET})
        assert "X-Key" in str(caught.value)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("value", ["a", "a b", "a\tb", "".join(map(chr, range(0x21, 0x7F)))])
    def test_a_legal_value_is_taken(self, value: str) -> None:
        """Any printable ASCII, blanks within."""
        assert illegal_part(value) is None
        assert Credential({"X-Key": value}).headers["X-Key"] == value

    def test_an_empty_value_is_no_credential(self) -> None:
        """A plugin that reads a variable which is set to nothing has found none."""
        with pytest.raises(IllegalHeaderError, match="X-Key would be empty"):
            Credential({"X-Key": ""})

    @pytest.mark.parametrize("name", ["", "X Key", "X-Key:", "X-Key\n", "Schlüssel", "X(Key)"])
    def test_an_illegal_name_is_refused(self, name: str) -> None:
        """RFC 9110, section 5.6.2."""
        with pytest.raises(IllegalHeaderError):
            check_header(name, "a", "the value")

    @given(st.text(alphabet=st.characters(max_codepoint=0x17F)))
    def test_what_we_take_the_wire_takes(self, value: str) -> None:
        """h11 sends whatever we call legal (so it never has to complain, and repeat the value)."""
        if illegal_part(value) is None:
            h11.Connection(h11.CLIENT).send(
                h11.Request(method="GET", target="/", headers=[("Host", "h"), ("X-Key", value)])
            )


class TestAsking:
    def test_the_providers_above_are_handed_down(self) -> None:
        """Outermost first, whatever characters their ids have; the environment itself stays as it is."""
        environ = {"A": "b"}
        first = asking(environ, "corp, east")
        second = asking(first, "😀")
        assert asked(environ) == []
        assert asked(second) == ["corp, east", "😀"]
        assert second["A"] == "b"
        assert VARIABLE not in environ
