"""The quick answer of `keyfob token` for a login in a file: given only where nothing is out of the ordinary."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.credentials.journal import Intent, Journal
from keyfob.testing.issuer import jwt
from keyfob_openai import warm

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0


def token(exp: object = NOW + 3600) -> str:
    """A JWT that expires then."""
    return jwt(exp=exp)


def chatgpt(*, tokens: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A login with nothing to be done, but for these fields."""
    own = {"id_token": token(), "access_token": token(), "refresh_token": "rt-1", "account_id": "acct-1"}
    return {"auth_mode": "chatgpt", "tokens": own | (tokens or {}), "last_refresh": "2027-01-15T07:58:20.5Z", **fields}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the login is."""
    return tmp_path / "auth.json"


def answer(path: Path, data: Any, mode: int = 0o600) -> str | None:
    """What it answers for this file."""
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    path.chmod(mode)
    return warm.token(str(path), NOW)


def test_a_sound_login_is_answered_for(path: Path) -> None:
    """Of either kind; also one that another machine renews."""
    assert answer(path, chatgpt()) == token()
    assert answer(path, chatgpt(auth_mode="chatgptAuthTokens", tokens={"refresh_token": ""})) == token()
    assert answer(path, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}) == "sk-1"


def test_a_link_is_followed(path: Path, tmp_path: Path) -> None:
    """The journal lies beside what it leads to."""
    target = tmp_path / "elsewhere" / "login.json"
    target.parent.mkdir()
    path.symlink_to(target)
    assert answer(path, chatgpt()) == token()
    (target.parent / "login.json.keyfob.journal").write_bytes(Journal(intent=Intent("x")).dumped())
    assert warm.token(str(path), NOW) is None


@pytest.mark.parametrize("left", [901, 10_000])
def test_before_renewal_begins_the_token_is_given(path: Path, left: float) -> None:
    """15 minutes before expiry."""
    assert answer(path, chatgpt(tokens={"access_token": token(NOW + left)})) is not None


@pytest.mark.parametrize("exp", [NOW + 900, NOW + 1, NOW - 1, None, "soon", (NOW + 3600) * 1000])
def test_what_has_to_be_renewed_is_left_to_the_command(path: Path, exp: object) -> None:
    """Or does not say when."""
    assert answer(path, chatgpt(tokens={"access_token": token(exp)})) is None


def test_what_a_renewal_has_left_is_left_to_the_command(path: Path) -> None:
    """An intent whose end is not noted; what cannot be read might hold one."""
    journal = path.parent / "auth.json.keyfob.journal"
    for text, answered in ((Journal(forced_at=5.0).dumped(), True), (b"", False), (b"{", False)):
        journal.write_bytes(text)
        assert (answer(path, chatgpt()) is not None) == answered
    journal.write_bytes(Journal(intent=Intent("x", sent=True)).dumped())
    assert answer(path, chatgpt()) is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_what_others_can_read_is_left_to_the_command(path: Path, mode: int) -> None:
    """It warns of that."""
    assert answer(path, chatgpt(), mode) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{broken",
        b"\xef\xbb\xbf" + json.dumps(chatgpt()).encode(),
        json.dumps(chatgpt()).encode("utf-16"),
        json.dumps(chatgpt()).encode() + b" 1",
        b" " * 2**20 + json.dumps(chatgpt()).encode(),
        json.dumps(chatgpt(x=1)).replace('"x": 1', '"x": 1e999').encode(),
        {},
        {"OPENAI_API_KEY": "sk-1"},
        {"auth_mode": "apikey"},
        {"auth_mode": "apikey", "OPENAI_API_KEY": " "},
        {"auth_mode": ["apikey"], "OPENAI_API_KEY": "sk-1"},
        chatgpt(auth_mode=None),
        chatgpt(last_refresh=None),
        chatgpt(last_refresh="2027-02-30T07:58:20Z"),
        chatgpt(last_refresh="2027-01-15T07:58:20"),
        chatgpt(tokens={"id_token": "zzz"}),
        chatgpt(tokens={"id_token": None}),
        chatgpt(tokens={"access_token": 5}),
        chatgpt(tokens={"refresh_token": None}),
        chatgpt(tokens={"refresh_token": ["rt"]}),
        chatgpt(tokens={"account_id": 5}),
        chatgpt(tokens={"account_id": "a\nb"}),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_command(path: Path, data: Any) -> None:
    """It says what is wrong, if anything is."""
    assert answer(path, data) is None


def test_what_is_no_file_is_left_to_the_command(path: Path) -> None:
    """Nothing, a link to nothing, a folder."""
    assert warm.token(str(path), NOW) is None
    path.symlink_to(path.parent / "nowhere")
    assert warm.token(str(path), NOW) is None
    assert warm.token(str(path.parent), NOW) is None


def test_json_is_not_imported() -> None:
    """Its import takes half as long as the interpreter's whole start."""
    code = "import sys, keyfob_openai.warm; print(*sorted({'json', 're', 'datetime', 'typing'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def test_an_interpreter_without_that_part_of_json_reads_it_all_the_same() -> None:
    """With `json` itself."""
    code = """
import sys
sys.modules["_json"] = None
from keyfob_openai.jsontext import parsed
assert parsed(' {"a": [1.5, null]} ') == {"a": [1.5, None]}
for text in ("", "{", "1 2", "NaN", "1e999"):
    try:
        parsed(text)
    except ValueError:
        continue
    sys.exit(text)
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)
