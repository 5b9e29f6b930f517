"""`keyfob login export`: what can live on two machines is carried there, and of the rest there is one at any time."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from keyfob.cli import login_export
from keyfob.credentials.journal import Intent, Journal
from keyfob.errors import StoreError
from keyfob.host import Host
from keyfob.stores.file import FileStore
from keyfob.testing.issuer import Issuer
from keyfob_openai.plugin import OpenAILogins

from ..homes import alive  # noqa: TID252
from ..logins import PERSONAL  # noqa: TID252
from ..stores.conftest import memory as memory  # noqa: TID252
from ..stores.conftest import use as use  # noqa: TID252
from .conftest import SCRIPT, Keyfob
from .signing import CONFIG, KEY, pipe, write_login

PATIENCE = 30


@pytest.fixture
def issuer():
    """The issuer that both machines turn to."""
    with Issuer() as running:
        yield running


def machine(folder, issuer):
    """keyfob with a provider of each kind; `lab` takes a key, `corp` OpenAI's login."""
    for name in ("codex", "system"):
        (folder / name).mkdir(parents=True)
    made = Keyfob(str(folder), dict(issuer.environ))
    made.configure(CONFIG)
    return made


@pytest.fixture
def here(tmp_path, issuer):
    """The machine that is signed in."""
    return machine(tmp_path / "here", issuer)


@pytest.fixture
def there(tmp_path, issuer):
    """The other machine."""
    return machine(tmp_path / "there", issuer)


def importing(there, *more):
    """A command that imports there, as `ssh there keyfob login import` would."""
    environ = [f"{name}={value}" for name, value in there.script_environ.items()]
    return ["env", "-i", *environ, SCRIPT, "login", "import", *more]


def shell(text, there=None):
    """A command that does more than that; in it "$@" imports."""
    return ["sh", "-c", text, "sh", *(importing(there) if there else [])]


def slow(*values):
    """These parameters, for the long run alone."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def stored(machine, name="auth.json"):
    try:
        with open(f"{machine.home}/{name}", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


# What can be used in two places


@pytest.mark.slow
def test_through_a_pipe_goes_the_access_token_alone(here, there, issuer):
    """It is used there until it expires; what renews it stays, and the other machine asks no issuer."""
    login = issuer.login(OPENAI_API_KEY="sk-canary-exchanged")
    write_login(here, login)
    export = here.script("login", "export", "corp")
    into = there.script("login", "import", stdin=export.stdout)
    export.stdout.close()
    receipt, said = into.communicate(timeout=PATIENCE)
    _, told = export.communicate(timeout=PATIENCE)
    assert (export.returncode, into.returncode) == (0, 0), said
    tokens = login["tokens"]
    assert stored(there) == {
        "auth_mode": "chatgptAuthTokens",
        "OPENAI_API_KEY": None,
        "tokens": {**tokens, "refresh_token": ""},
        "last_refresh": login["last_refresh"],
    }
    assert stored(here) == login
    assert there("token", "corp").out == f"{tokens['access_token']}\n"
    assert (issuer.presented, issuer.revoked) == ([], [])
    for text in (told.decode(), said.decode()):
        assert "ChatGPT of somebody@example.com" in text
        assert "until 20" in text
        assert "cannot be renewed" in text
        assert not any(token in text for token in tokens.values())
    assert receipt.startswith(b"keyfob-stored ")


@pytest.mark.slow
def test_it_is_renewed_first_where_that_is_due(here, issuer):
    """Of a token that has expired nobody has any use."""
    write_login(here, issuer.login(expires_in=-1))
    found = here("login", "export", "corp")
    kept = stored(here)["tokens"]
    assert (found.code, len(issuer.presented)) == (0, 1)
    assert kept["access_token"] in found.out
    assert kept["refresh_token"] not in found.out


def test_what_has_expired_and_is_not_renewed_is_not_exported(here, issuer):
    """A variable goes before the stored login, so nobody renews that."""
    write_login(here, issuer.login(expires_in=-1))
    found = here("login", "export", "corp", CODEX_API_KEY=KEY)
    assert (found.code, found.out, "has expired" in found.err) == (1, "", True)


@pytest.mark.parametrize("data", [{"auth_mode": "apikey", "OPENAI_API_KEY": KEY}, PERSONAL], ids=["key", "personal"])
def test_what_is_never_spent_goes_whole(here, there, issuer, monkeypatch, data):
    """A key and a personal access token can be used in two places; nothing of them is said but what may be shown."""
    issuer.personal["at-canary"] = {"chatgpt_account_id": "acct-1", "email": "somebody@example.com"}
    write_login(here, data)
    found = here("login", "export", "corp")
    assert "it can be used in both places" in found.err
    pipe(monkeypatch, found.out)
    assert there("login", "import").code == 0
    assert stored(there) == data
    assert KEY not in found.err


def test_a_key_goes_with_the_origin_that_it_is_bound_to(here, there, monkeypatch):
    """The default provider is meant where none is named."""
    pipe(monkeypatch, KEY)
    here("login", "lab", "--with-api-key")
    pipe(monkeypatch, here("login", "export").out)
    assert there("login", "import").code == 0
    assert stored(there, "keyfob/envkey/lab.json") == {"origin": "https://lab.example", "api_key": KEY}
    assert there("token", "lab").out == f"{KEY}\n"


def test_nothing_goes_to_a_terminal(here, issuer):
    """A usage error with the command to use."""
    write_login(here, issuer.login())
    found = here("login", "export", "corp", tty=True)
    assert (found.code, found.out) == (2, "")
    assert "keyfob login export corp | ssh HOST keyfob login import" in found.err


def test_whoever_is_not_signed_in_exports_nothing(here):
    """Exit code 1, and how to sign in."""
    found = here("login", "export", "corp")
    assert (found.code, found.out, "keyfob login corp" in found.err) == (1, "", True)


def test_what_a_plugin_leaves_in_is_not_exported(here, issuer, monkeypatch):
    """That it has taken out what renews the login is looked at, not believed."""
    monkeypatch.setattr(OpenAILogins, "without_renewal", lambda _, data: data)
    write_login(here, issuer.login())
    found = here("login", "export", "corp")
    assert (found.code, found.out, "without what renews it" in found.err) == (2, "", True)


@pytest.mark.slow
def test_a_command_may_take_it_too(here, there, issuer):
    """Then keyfob sees that it arrived; the login stays."""
    write_login(here, issuer.login())
    assert here("login", "export", "corp", "--", *importing(there)).code == 0
    assert stored(there)["tokens"]["refresh_token"] == ""
    found = here("login", "export", "corp", "--", "true")
    assert (found.code, "true ended with 0, and did not confirm" in found.err) == (1, True)
    assert "--local" not in found.err
    assert stored(here)


# Moving


def test_without_a_command_nothing_can_confirm(here, issuer):
    """A pipe goes one way: usage error with the command to use."""
    write_login(here, issuer.login())
    for arguments in (["--move"], ["--move", "--"]):
        found = here("login", "export", "corp", *arguments)
        assert (found.code, found.out) == (2, "")
        assert "keyfob login export corp --move -- ssh HOST keyfob login import" in found.err


@pytest.mark.slow
@pytest.mark.parametrize("setting", [*slow("file", "keyring"), "auto"])
def test_the_whole_login_is_moved(here, there, issuer, memory, setting):
    """From every place where it is; it is not revoked, and goes on there."""
    login = issuer.login(expires_in=-1)
    path = write_login(here, login)
    host = Host({}, places=here.places, overrides=["cli_auth_credentials_store=keyring"])
    if setting != "file":
        host.store("openai", "openai").write(login)
    found = here("-c", f"cli_auth_credentials_store={setting}", "login", "export", "corp", "--move", "--",
                 *importing(there))  # fmt: skip
    assert (found.code, found.out) == (0, ""), found.err
    assert (os.path.exists(path), memory.kept, issuer.revoked) == (False, {}, [])
    assert stored(there) == login
    assert here("status", "corp").code == 1
    assert there.finished("token", "corp").code == 0
    assert issuer.reused == []
    assert not any(token in found.err for token in login["tokens"].values())


UNCONFIRMED = {
    "fails": "cat >/dev/null; exit 3",
    "is silent": "cat >/dev/null",
    "does not read": "exit 0",
    "says something else": "cat; echo keyfob-stored 0000",
    "confirms and fails": '"$@"; exit 1',
    "takes too long": "cat >/dev/null; exec sleep 60",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", UNCONFIRMED.values(), ids=UNCONFIRMED)
def test_without_the_receipt_nothing_is_removed(here, there, issuer, monkeypatch, text):
    """What to do is said: nobody knows whether it is in both places."""
    monkeypatch.setattr(login_export, "PATIENCE", 0.2 if "sleep" in text else PATIENCE)
    login = issuer.login()
    write_login(here, login)
    found = here("login", "export", "corp", "--move", "--", *shell(text, there))
    assert (found.code, stored(here)) == (1, login)
    assert "the login stays here" in found.err
    assert "→ keyfob status, there; if it has arrived, keyfob logout corp --local on one of the two" in found.err
    assert "canary" not in found.err


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), (os.devnull, 126)])
def test_a_command_that_cannot_be_run_is_said(here, issuer, command, code):
    """As a shell says it; nothing was handed over, so there is nothing to worry about."""
    login = issuer.login()
    write_login(here, login)
    found = here("login", "export", "corp", "--move", "--", command)
    assert (found.code, stored(here), "stays here" in found.err) == (code, login, False)


@pytest.mark.slow
def test_an_error_after_it_was_run_is_not_told_as_if_it_had_not_been(here, there, issuer, monkeypatch):
    """The login may be stored there by then."""

    def failing(self, *_, **__):
        communicate(self, login_document)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    login = issuer.login()
    write_login(here, login)
    login_document, communicate = here("login", "export", "corp").out.encode(), subprocess.Popen.communicate
    monkeypatch.setattr(subprocess.Popen, "communicate", failing)
    found = here("login", "export", "corp", "--move", "--", *importing(there))
    assert (found.code, stored(here), bool(stored(there))) == (1, login, True)
    assert "could not be spoken with: Input/output error. corp: the login stays here" in found.err


@pytest.mark.slow
def test_who_breaks_it_off_once_it_is_confirmed_is_told_that_it_stays(here, there, issuer, monkeypatch):
    """In the moment before Ctrl-C is no longer heeded."""

    def interrupted():
        raise KeyboardInterrupt

    login = issuer.login()
    write_login(here, login)
    monkeypatch.setattr(login_export, "undisturbed", interrupted)
    found = here("login", "export", "corp", "--move", "--", *importing(there))
    assert (found.code, stored(here) == stored(there) == login) == (130, True)
    assert "the login stays here; it may be stored there, too" in found.err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed: apt-get install util-linux")
def test_nobody_renews_it_meanwhile(here, there, issuer):
    """The lock of its renewal is held until it is removed."""
    lock = f"{write_login(here, issuer.login())}.keyfob.lock"
    text = f'flock -n {lock} true && exit 9; exec "$@"'
    assert here("login", "export", "corp", "--move", "--", *shell(text, there)).code == 0


@pytest.mark.slow
def test_what_another_program_has_changed_meanwhile_stays(here, there, issuer, tmp_path):
    """Codex knows nothing of our lock: what it renewed may be the one that lives."""
    write_login(here, issuer.login())
    newer = issuer.login()
    (tmp_path / "newer.json").write_text(json.dumps(newer))
    text = f'cp {tmp_path}/newer.json {here.home}/auth.json; exec "$@"'
    found = here("login", "export", "corp", "--move", "--", *shell(text, there))
    assert (found.code, stored(here)) == (1, newer)
    assert "another program has changed it here meanwhile" in found.err


@pytest.mark.slow
def test_what_cannot_be_removed_is_said(here, there, issuer, monkeypatch):
    """By then it is there, too."""

    def failing(_):
        raise StoreError("the disk is full")

    write_login(here, issuer.login())
    monkeypatch.setattr(FileStore, "delete", failing)
    found = here("login", "export", "corp", "--move", "--", *importing(there))
    assert (found.code, bool(stored(there))) == (1, True)
    assert "the disk is full" in found.err
    assert "is stored there, but it could not be removed here" in found.err
    assert "keyfob logout corp --local" in found.err


def test_what_is_being_renewed_is_not_moved(here, there, issuer):
    """Its secret may be spent, and the next one lies in the issuer's answer."""
    login = issuer.login()
    write_login(here, login)
    made = Host({}, places=here.places).provider("corp").login
    made.store.note(Journal(Intent(made.stored().fingerprint, sent=True)))
    found = here("login", "export", "corp", "--move", "--", *importing(there))
    assert (found.code, stored(here), stored(there)) == (1, login, None)
    assert "keyfob check corp" in found.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [*slow(signal.SIGINT, signal.SIGKILL), signal.SIGTERM])
def test_whoever_breaks_it_off_keeps_the_login(here, issuer, tmp_path, number):
    """Ctrl-C, a signal, a kill; the command ends too where it can be ended, and the lock is free again."""
    login, ready = issuer.login(), tmp_path / "ready"
    write_login(here, login)
    text = f"cat >/dev/null; echo $$ > {ready}.new; mv {ready}.new {ready}; exec sleep 60"
    moving = here.script("login", "export", "corp", "--move", "--", *shell(text))
    ends = time.monotonic() + PATIENCE
    while not ready.exists():
        assert time.monotonic() < ends
        time.sleep(0.01)
    moving.send_signal(number)
    command = int(ready.read_text())
    if number == signal.SIGKILL:
        os.kill(command, signal.SIGKILL)
    _, said = moving.communicate(timeout=PATIENCE)
    assert (b"the login stays here" in said) == (number != signal.SIGKILL)
    ends = time.monotonic() + PATIENCE
    while alive(command):  # what is killed takes its moment to end
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert moving.returncode == {signal.SIGINT: 130}.get(number, -number)
    assert stored(here) == login
    with Host(dict(issuer.environ), places=here.places).provider("corp").login.store.lock(wait=0):
        pass


@pytest.mark.slow
def test_a_renewal_that_is_under_way_is_waited_for(here, there, issuer):
    """What is carried then is what came of it; the spent secret goes nowhere."""
    issuer.delay = 0.5
    write_login(here, issuer.login(expires_in=-1))
    asking = here.script("token", "corp")
    while not os.path.exists(f"{here.home}/auth.json.keyfob.lock"):
        time.sleep(0.01)
    moved = here.finished("login", "export", "corp", "--move", "--", *importing(there))
    token, _ = asking.communicate(timeout=PATIENCE)
    assert moved.code == 0, moved.err
    assert (len(issuer.presented), issuer.reused) == (1, [])
    assert stored(there)["tokens"]["access_token"] == token.decode().strip()
    assert issuer.is_current(stored(there)["tokens"]["refresh_token"])


@pytest.mark.slow
def test_a_renewal_that_comes_too_late_finds_nobody_signed_in(here, there, issuer, tmp_path):
    """It waits for the move, and presents nothing."""
    write_login(here, issuer.login(expires_in=-1))
    started = f"""
import subprocess, sys
out = open({str(tmp_path / "said")!r}, "w")
asking = subprocess.Popen([{SCRIPT!r}, "token", "corp"], env={here.script_environ!r}, stdout=out, stderr=out)
try:
    asking.wait(1.0)
    sys.exit("it did not wait")
except subprocess.TimeoutExpired:
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""
    found = here.finished("login", "export", "corp", "--move", "--", sys.executable, "-c", started, *importing(there))
    assert found.code == 0, found.err
    ends = time.monotonic() + PATIENCE
    while "signed out meanwhile" not in (tmp_path / "said").read_text():
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert issuer.presented == []
    assert subprocess.run([*importing(there)], input=b"", check=False).returncode == 1
