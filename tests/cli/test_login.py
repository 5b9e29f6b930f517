"""`keyfob login`: a key is stored once it is known to be good, in place of what was there, and never shown."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys

import pytest

from keyfob.testing.issuer import Issuer

from ..logins import chatgpt  # noqa: TID252
from ..stores.conftest import memory as memory  # noqa: TID252
from ..stores.conftest import use as use  # noqa: TID252
from .conftest import SCRIPT
from .signing import CONFIG, KEY, Keyboard, files, pipe, write_login

STORED = "keyfob/envkey/lab.json"


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `lab` takes a key, `corp` OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


def stored(keyfob, name="auth.json"):
    with open(f"{keyfob.home}/{name}", encoding="utf-8") as file:
        return json.load(file)


# What is stored


@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f"  {KEY}\t\r\n", f"\ufeff{KEY}\n"])
def test_a_key_for_openai_is_stored_as_codex_stores_it(keyfob, monkeypatch, given):
    """Without the blanks around it; 0600, two blanks of indent, no newline at the end."""
    pipe(monkeypatch, given)
    found = keyfob("login", "corp", "--with-api-key")
    assert (found.code, found.out) == (0, "")
    path = f"{keyfob.home}/auth.json"
    with open(path, encoding="utf-8") as file:
        assert file.read() == f'{{\n  "auth_mode": "apikey",\n  "OPENAI_API_KEY": "{KEY}"\n}}'
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert KEY not in found.err
    assert "auth.json" in found.err
    assert "keyfob check corp" in found.err


def test_a_key_of_another_provider_is_bound_to_its_origin(keyfob, monkeypatch):
    """In a folder of our own, for nobody else; the default provider is meant where none is named."""
    pipe(monkeypatch, KEY)
    found = keyfob("login", "--with-api-key")
    assert stored(keyfob, STORED) == {"origin": "https://lab.example", "api_key": KEY}
    assert "lab (https://lab.example)" in found.err
    for name, mode in {"keyfob": 0o700, "keyfob/envkey": 0o700, STORED: 0o600}.items():
        assert stat.S_IMODE(os.stat(f"{keyfob.home}/{name}").st_mode) == mode
    assert keyfob("token", "lab").out == f"{KEY}\n"


def test_an_access_token_is_stored_after_its_issuer_knew_it(keyfob, monkeypatch):
    """As Codex writes it; one that the issuer does not know is not stored."""
    with Issuer() as issuer:
        keyfob.environ.update(issuer.environ)
        pipe(monkeypatch, "at-canary")
        refused = keyfob("login", "corp", "--with-access-token")
        assert (refused.code, os.path.exists(f"{keyfob.home}/auth.json")) == (1, False)
        issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-1"}
        pipe(monkeypatch, "at-canary\n")
        assert keyfob("login", "corp", "--with-access-token").code == 0
    assert stored(keyfob) == {"OPENAI_API_KEY": None, "personal_access_token": "at-canary"}


def test_with_auto_it_says_where_and_why(keyfob, monkeypatch, memory):
    """The keyring where there is one; what lay in the file is gone then."""
    write_login(keyfob, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-old"})
    pipe(monkeypatch, KEY)
    found = keyfob("-c", "cli_auth_credentials_store=auto", "login", "corp", "--with-api-key")
    assert found.code == 0
    assert "Codex Auth" in found.err
    assert "the keyring is usable" in found.err
    assert [json.loads(text)["OPENAI_API_KEY"] for text in memory.kept.values()] == [KEY]
    assert not os.path.exists(f"{keyfob.home}/auth.json")


# What it is good for


@pytest.mark.slow
def test_a_stored_key_serves_as_the_variable_does(keyfob, monkeypatch):
    """Also a command that knows nothing but that variable; and the warm path goes the whole way."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    show = "import os; print(os.environ['LAB_KEY'], os.environ['OPENAI_API_KEY'])"
    assert keyfob.finished("exec", "lab", "--", sys.executable, "-c", show).out == f"{KEY} {KEY}\n"
    assert [keyfob.finished("token").out for _ in range(2)] == [f"{KEY}\n"] * 2
    keyfob.environ["LAB_KEY"] = "sk-variable"
    assert keyfob.finished("token").out == "sk-variable\n"


def test_without_any_key_both_ways_to_give_one_are_named(keyfob):
    """By every command that needs one."""
    for arguments in (["token"], ["headers"], ["exec", "--", "true"], ["request", "models"]):
        found = keyfob(*arguments)
        assert (found.code, "→ export LAB_KEY=…, or keyfob login lab --with-api-key" in found.err) == (1, True)


# What it replaces


def test_it_replaces_chatgpt_tokens_whole_and_revokes_nothing(keyfob, monkeypatch):
    """As Codex."""
    with Issuer() as issuer:
        keyfob.environ.update(issuer.environ)
        write_login(keyfob, issuer.login())
        pipe(monkeypatch, KEY)
        assert keyfob("login", "corp", "--with-api-key").code == 0
        assert not issuer.revoked
    assert stored(keyfob) == {"auth_mode": "apikey", "OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "no API key was given"),
        (b" \r\n", "no API key was given"),
        (b"one\ntwo\n", "a line break"),
        (b"sk-\xff", "not UTF-8"),
        ("sk-canary-é".encode(), "not ASCII"),
        (b"sk-\x00canary", "a control character"),
        (b"k" * 70_000, "longer than 64 KiB"),
    ],
)
def test_what_is_no_key_leaves_the_old_login(keyfob, monkeypatch, given, said):
    """Exit code 1, a sentence that does not repeat it, and not a byte changed."""
    write_login(keyfob, chatgpt())
    before = files(keyfob.home)
    pipe(monkeypatch, given)
    found = keyfob("login", "corp", "--with-api-key")
    assert (found.code, said in found.err) == (1, True)
    assert "canary" not in found.err
    assert files(keyfob.home) == before


def test_a_closed_stdin_gives_no_key(keyfob, monkeypatch):
    """A program may start us so."""
    monkeypatch.setattr(sys, "stdin", None)
    assert "no API key was given" in keyfob("login", "--with-api-key").err


def test_an_access_token_of_no_known_kind_leaves_the_old_login(keyfob, monkeypatch):
    """Its beginning tells."""
    write_login(keyfob, chatgpt())
    before = files(keyfob.home)
    pipe(monkeypatch, "sk-canary")
    found = keyfob("login", "corp", "--with-access-token")
    assert (found.code, "begin with at-" in found.err, "canary" in found.err) == (1, True, False)
    assert files(keyfob.home) == before


def test_a_login_that_a_rule_forbids_leaves_the_old_one(keyfob, monkeypatch):
    """The rule and its file are named."""
    keyfob.configure(f'forced_login_method = "chatgpt"\n{CONFIG}')
    write_login(keyfob, chatgpt())
    before = files(keyfob.home)
    pipe(monkeypatch, KEY)
    found = keyfob("login", "corp", "--with-api-key")
    assert (found.code, "forced_login_method" in found.err, "config.toml:1" in found.err) == (1, True, True)
    assert files(keyfob.home) == before


DAMAGED = "{'not': JSON"


@pytest.mark.parametrize(
    ("there", "said"),
    [(DAMAGED, "is not JSON"), ('{"auth_mode": "agentIdentity"}', "that only Codex can use")],
)
def test_what_is_of_no_use_is_replaced_only_with_the_users_word(keyfob, monkeypatch, there, said):
    """Asked for with --replace; a pipe cannot say yes."""
    path = write_login(keyfob, there)
    pipe(monkeypatch, KEY)
    found = keyfob("login", "corp", "--with-api-key")
    assert (found.code, said in found.err, "--replace" in found.err) == (1, True, True)
    with open(path, encoding="utf-8") as file:
        assert file.read() == there
    pipe(monkeypatch, KEY)
    assert keyfob("login", "corp", "--with-api-key", "--replace").code == 0
    assert stored(keyfob)["OPENAI_API_KEY"] == KEY


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("YES\n", 0), ("\n", 1), ("n\n", 1), ("", 1)])
def test_a_person_is_asked_about_a_damaged_login(keyfob, monkeypatch, answer, code):
    """Whatever is not a yes is a no."""
    path = write_login(keyfob, DAMAGED)
    monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY)
    found = keyfob("login", "corp", "--with-api-key")
    assert (found.code, "Replace it? [y/N]" in found.err) == (code, True)
    with open(path, encoding="utf-8") as file:
        assert (file.read() == DAMAGED) == (code == 1)


def test_a_login_of_a_kind_that_is_not_known_here_is_asked_about_too(keyfob, monkeypatch):
    """A newer Codex may have made it."""
    write_login(keyfob, {"auth_mode": "newerKind", "newer": {"token": "t"}})
    pipe(monkeypatch, KEY)
    assert keyfob("login", "corp", "--with-api-key").code == 1
    assert stored(keyfob)["newer"] == {"token": "t"}


def test_a_key_for_another_origin_is_replaced_unasked(keyfob, monkeypatch):
    """It was of no use any more, and `keyfob login` is what the error said to do."""
    pipe(monkeypatch, "sk-old")
    keyfob("login", "lab", "--with-api-key")
    keyfob.configure(CONFIG.replace("lab.example", "new.example"))
    refused = keyfob("token", "lab")
    assert (refused.code, "sk-old" in refused.out + refused.err) == (1, False)
    assert "https://lab.example, not for https://new.example" in refused.err
    pipe(monkeypatch, KEY)
    assert keyfob("login", "lab", "--with-api-key").code == 0
    assert stored(keyfob, STORED) == {"origin": "https://new.example", "api_key": KEY}


@pytest.mark.slow
def test_the_new_login_is_there_before_anything_of_the_old_goes(keyfob):
    """Where it cannot be written, the old one and an issuer's answer beside it stay; no file may grow here."""
    write_login(keyfob, chatgpt())
    with open(f"{keyfob.home}/auth.json.keyfob.stage", "w", encoding="utf-8") as file:
        file.write("an answer")
    before = files(keyfob.home)
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {SCRIPT} login corp --with-api-key"],
        env=keyfob.script_environ,
        input=KEY.encode(),
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, b"File too large" in done.stderr) == (1, True), done.stderr
    assert before.items() <= files(keyfob.home).items()


# How it is asked for


@pytest.mark.parametrize(
    "arguments",
    [
        ["login", "--api-key", "sk-canary"],
        ["login", "--api-key=sk-canary"],
        ["login", "--with-api-key=sk-canary"],
        ["login", "lab", "--with-api-key", "sk-canary"],
        ["login", "sk-canary", "--with-api-key"],
        ["login", "--with-api-key", "sk-canary"],
        ["login", "--token", "sk-canary"],
    ],
)
def test_a_key_is_never_an_argument(keyfob, arguments):
    """Exit code 2; what was written is not repeated."""
    found = keyfob(*arguments)
    assert (found.code, "canary" in found.out + found.err) == (2, False)
    assert "--api-key" not in arguments or "a key is never an argument" in found.err
    assert not os.path.exists(f"{keyfob.home}/keyfob")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["login"], "say how to sign in to lab: with an API key"),
        (["login", "lab", "--with-access-token"], "lab cannot be signed in to with an access token"),
        (["login", "corp", "--with-access-token", "--with-api-key"], "one way at a time"),
        (["login", "corp", "--json"], "prints no data, so it takes no --json"),
        (["login", "open", "--with-api-key"], "open needs no login: its plugin is `none`; these take one: lab, corp"),
        (["-c", "model_provider=open", "login"], "these take one: lab, corp, openai"),
        (["-c", "cli_auth_credentials_store=ephemeral", "login", "--with-api-key"], "nothing would be kept"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_read(keyfob, monkeypatch, arguments, said):
    """Exit code 2."""
    monkeypatch.setattr(sys, "stdin", None)
    found = keyfob(*arguments)
    assert (found.code, said in found.err) == (2, True), found.err


def test_a_variable_that_goes_before_it_is_named(keyfob, monkeypatch):
    """Or whoever has just signed in would wonder."""
    pipe(monkeypatch, KEY)
    assert "LAB_KEY is set, and goes before it" in keyfob("login", "--with-api-key", LAB_KEY="other").err


@pytest.mark.slow
def test_a_person_types_it_unseen(keyfob):
    """On a terminal of its own; what is typed is not shown, and is stored."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, "login", "--with-api-key"],
        env=keyfob.script_environ,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    said = b""
    while b"(not shown): " not in said:
        said += os.read(parent, 1000)
    os.write(parent, KEY.encode() + b"\n")
    try:
        while part := os.read(parent, 1000):
            said += part
    except OSError:  # the other end is closed
        pass
    assert process.wait(60) == 0
    os.close(parent)
    assert b"API key for lab (https://lab.example)" in said
    assert KEY.encode() not in said
    assert stored(keyfob, STORED)["api_key"] == KEY
