"""`keyfob doctor`: each thing that stands in the way is found, with what mends it, and nothing is changed."""

from __future__ import annotations

import json
import os
import shlex
import socket
import time

import pytest

from keyfob.cli.doctor import machine
from keyfob.credentials.journal import Journal, Stage
from keyfob.host import Host
from keyfob.stores.choice import places
from keyfob.testing import Issuer

from ..stores.conftest import Memory  # noqa: TID252
from .conftest import Keyfob

ENTRY = '[model_providers.p]\nname = "P"\nbase_url = "https://p.example/v1"\nrequires_openai_auth = true\n'
KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary-doctor"}


def login(keyfob, data) -> str:
    """Write auth.json as Codex does, and return its path."""
    path = f"{keyfob.home}/auth.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(data if isinstance(data, str) else json.dumps(data))
    return path


def findings(keyfob, topic, **environ) -> list[tuple[str, str, str | None]]:
    """What is found under a topic: level, message, mend."""
    said = keyfob("doctor", "--json", **environ)
    assert "canary" not in said.out + said.err
    found = json.loads(said.out)["findings"]
    return [(one["level"], one["message"], one["mend"]) for one in found if one["topic"] == topic]


def levels(keyfob, topic, **environ) -> list[str]:
    """The levels of what is found under a topic."""
    return [level for level, _, _ in findings(keyfob, topic, **environ)]


@pytest.fixture
def free_ports(monkeypatch):
    """Ports of the test's own in the place of the ones for signing in; both are free."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = (one.getsockname()[1], other.getsockname()[1])
    monkeypatch.setattr(machine, "SIGN_IN_PORTS", ports)
    return ports


def test_where_all_is_well_it_says_so_and_exits_with_0(keyfob, free_ports):
    """A line for each topic; notes are no problem."""
    keyfob.configure(ENTRY)
    login(keyfob, KEY)
    said = keyfob("doctor")
    assert said.code == 0
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert {row[0] for row in rows} <= {"ok", "note"}
    assert ["ok", "logins", f"p: present, in {keyfob.home}/auth.json", ""] in rows


def test_a_person_gets_a_table_with_what_to_do_below_each(keyfob, free_ports):
    """On a terminal."""
    keyfob.configure("[model_providers.q]\nname='Q'\nbase_url='https://q.example/v1'\nenv_key='QK'\n")
    lines = keyfob("doctor", tty=True).out.splitlines()
    at = next(at for at, line in enumerate(lines) if "QK is not set" in line)
    assert "→ export QK=…" in " ".join(lines[at : at + 3])


def test_a_fault_of_the_configuration_names_its_line_and_exits_with_1(keyfob):
    """With the file to edit."""
    path = keyfob.configure("[model_providers.x]\nbase_url = 5\n")
    level, message, mend = findings(keyfob, "configuration")[1]
    assert (level, mend) == ("problem", f"edit {path}")
    assert f"{path}:2" in message
    assert keyfob("doctor").code == 1


def test_what_cannot_be_read_at_all_does_not_hide_the_rest(keyfob):
    """The other examinations go on."""
    keyfob.configure("no toml")
    assert levels(keyfob, "configuration") == ["problem"]
    assert levels(keyfob, "file system") == ["ok"]


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ('name = ""', 'write name = "x"'),
        ('name = "X"\nwire_api = "chat"', 'write wire_api = "responses"'),
        ('name = "X"\nrequires_openai_auth = true\nenv_key = "K"', "keep one of the two keys"),
        ('name = "X"\nallow_http = true', "move it to {home}/keyfob.toml"),
    ],
)
def test_what_codex_would_make_of_the_same_file(keyfob, line, mend):
    """It refuses some of what keyfob takes, and warns of keys that are not its own."""
    keyfob.configure(f'[model_providers.x]\nbase_url = "https://x.example/v1"\n{line}\n')
    assert [found[2] for found in findings(keyfob, "Codex")] == [mend.format(home=keyfob.home)]


def test_codex_does_not_see_what_stands_in_keyfob_toml(keyfob):
    """So it refuses nothing for an entry that is there alone."""
    with open(f"{keyfob.home}/keyfob.toml", "w") as file:
        file.write('[model_providers.x]\nbase_url = "https://x.example/v1"\nwire_api = "chat"\n')
    assert levels(keyfob, "Codex") == ["ok"]


def test_the_default_provider_that_is_not_there(keyfob):
    """Is a problem."""
    keyfob.configure('model_provider = "gone"\n')
    assert ("problem", "model_provider is 'gone', and there is no such provider", "keyfob providers") in findings(
        keyfob, "configuration"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auth_mode": "chatgpt"}'])
def test_a_damaged_login_is_a_problem_and_stays_as_it_is(keyfob, text):
    """It is told with the command that mends it."""
    keyfob.configure(ENTRY)
    path = login(keyfob, text)
    level, message, mend = findings(keyfob, "logins")[0]
    assert level == "problem"
    assert "damaged" in message
    assert message.count(path) == 1
    assert "keyfob login" in str(mend)
    with open(path) as file:
        assert file.read() == text


def test_an_expired_login_is_told_and_its_secret_not_spent(keyfob):
    """It reads only: the issuer is not asked, and no file is written."""
    with Issuer() as issuer:
        keyfob.configure(ENTRY)
        login(keyfob, issuer.login(expires_in=-60))
        before = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(keyfob.home)}
        level, message, _ = findings(keyfob, "logins", **issuer.environ)[0]
        after = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(keyfob.home)}
    assert level == "ok"
    assert "expired but renewable" in message
    assert issuer.presented == []
    assert before == after


def test_a_renewal_that_broke_off_is_told(keyfob):
    """With the command that finishes it."""
    keyfob.configure(ENTRY)
    with Issuer() as issuer:
        login(keyfob, issuer.login())
    with open(f"{keyfob.home}/auth.json.keyfob.journal", "w") as file:
        json.dump({"intent": {"fingerprint": "f", "attempt": 1, "sent": True, "at": 1.0}}, file)
    assert findings(keyfob, "logins")[1][2] == "keyfob check p"


@pytest.mark.parametrize(("answer", "told"), [(b'{"access_token": "canary"}', True), (b"<html>", False)])
def test_an_answer_that_waits_is_told_and_one_that_holds_no_login_is_not(keyfob, answer, told):
    """Nothing comes of that."""
    keyfob.configure(ENTRY)
    with Issuer() as issuer:
        login(keyfob, issuer.login())
    stored = Host({}, places=keyfob.places).provider("p").login
    stored.store.prepare({})
    stored.store.put_stage(Stage(stored.stored().fingerprint, answer))
    stored.store.note(Journal())
    assert any("the next use finishes it" in message for _, message, _ in findings(keyfob, "logins")) == told


def test_nobody_signed_in_is_said_once(keyfob):
    """Without a place: nothing is there."""
    said = [message for _, message, _ in findings(keyfob, "logins")]
    assert said == ["openai: not signed in"]


@pytest.mark.parametrize("name", ["auth.lock", "auth.json.lock", "auth.json.keyfob.lock", "auth.json.keyfob.stage"])
def test_what_lies_beside_a_login_must_be_ours_too(keyfob, monkeypatch, name):
    """Another user's lock keeps every renewal from being written."""
    path = keyfob.configure("", name)
    assert levels(keyfob, "files") == (["warning"] if "stage" in name else ["ok"])  # that one holds a secret
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert f"{path} belongs to another user (id {os.getuid()})" in [each for _, each, _ in findings(keyfob, "files")]


@pytest.mark.parametrize(
    ("name", "text"), [("auth.json", "{}"), (".env", "A=1\n"), ("config.toml", "experimental_bearer_token")]
)
def test_a_secret_that_others_can_read(keyfob, name, text):
    """Is told with the command that hides it."""
    path = keyfob.configure(f"# {text}\n" if name == "config.toml" else text, name)
    os.chmod(path, 0o644)
    warning = ("warning", f"{path} can be read by others, and holds a secret", f"chmod 600 {path}")
    assert warning in findings(keyfob, "files")


def test_a_path_with_a_blank_is_one_word_of_each_command(tmp_path, monkeypatch):
    """One of them is for root, who is not to change other files."""
    for name in ("codex", "system"):
        (tmp_path / "my disk" / name).mkdir(parents=True)
    keyfob = Keyfob(str(tmp_path / "my disk"))
    os.chmod(keyfob.configure("A=1\n", ".env"), 0o644)
    os.mkdir(f"{keyfob.home}/auth.json")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "access", lambda *_: False)
    commands = [shlex.split(mend) for *_, mend in findings(keyfob, "files")]
    home, dotenv = keyfob.home, f"{keyfob.home}/.env"
    assert commands == [
        ["ls", "-ld", home],
        ["ls", "-ld", f"{home}/auth.json"],
        ["chmod", "600", dotenv],
        ["sudo", "chown", "4711", dotenv],
        ["ls", "-l", dotenv],
    ]


def test_the_names_that_dotenv_cannot_set(keyfob):
    """Neither Codex's nor keyfob's own."""
    path = keyfob.configure("A=1\n", ".env")
    message = f"{path} is laid over the environment, but for names that begin with CODEX_ or KEYFOB_"
    assert findings(keyfob, "environment") == [("note", message, None)]


def test_a_configuration_without_a_secret_may_be_read_by_all(keyfob):
    """That is no finding."""
    os.chmod(keyfob.configure(ENTRY), 0o644)
    assert levels(keyfob, "files") == ["ok"]


def test_a_folder_in_the_place_of_a_file(keyfob):
    """Is a problem."""
    os.mkdir(f"{keyfob.home}/auth.json")
    assert "problem" in levels(keyfob, "files")


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "9p"])
def test_a_file_system_without_shared_locks(keyfob, monkeypatch, kind):
    """The warning names it."""
    monkeypatch.setattr(machine, "_file_system_of", lambda _: kind)
    [(level, message, _)] = findings(keyfob, "file system")
    assert level == "warning"
    assert kind in message


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    """As the kernel names it."""
    assert machine._file_system_of("/proc/self") == "proc"


def test_a_file_from_the_future_tells_of_a_wrong_clock(keyfob):
    """Of either one."""
    path = login(keyfob, KEY)
    os.utime(path, (time.time() + 3600,) * 2)
    assert levels(keyfob, "clock") == ["warning"]


@pytest.mark.parametrize(("taken", "expected"), [(0, ["ok"]), (1, ["note"]), (2, ["warning"])])
def test_the_port_that_the_browser_comes_back_to(keyfob, free_ports, taken, expected):
    """There are two; and none is kept."""
    listeners = [socket.create_server(("127.0.0.1", port)) for port in free_ports[:taken]]
    try:
        assert levels(keyfob, "sign-in port") == expected
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize(
    ("variable", "level"),
    [
        ("CODEX_API_KEY", "note"),
        ("CODEX_ACCESS_TOKEN", "note"),
        ("OPENAI_API_KEY", "note"),
        ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "warning"),
    ],
)
def test_variables_that_decide_something(keyfob, variable, level):
    """Named, never shown."""
    assert levels(keyfob, "environment", **{variable: "at-canary"}) == [level]


@pytest.mark.parametrize(
    ("url", "level", "words"),
    [
        ("http://user:canary@proxy.example:3128", "note", "http://proxy.example:3128"),
        ("proxy.example:3128", "note", "http://proxy.example:3128"),
        ("socks://proxy.example:1080", "problem", "scheme 'socks'"),
        ("http://[canary", "problem", "is no URL"),
    ],
)
def test_the_proxies_of_the_environment(keyfob, url, level, words):
    """Without their passwords."""
    [(found, message, _)] = findings(keyfob, "proxies", HTTPS_PROXY=url)
    assert found == level
    assert words in message


def test_certificates_that_only_others_look_at(keyfob):
    """Say what keyfob looks at."""
    [(level, _, mend)] = findings(keyfob, "certificates", REQUESTS_CA_BUNDLE="/ca.pem")
    assert (level, mend) == ("note", "export CODEX_CA_CERTIFICATE=$REQUESTS_CA_BUNDLE")


def test_a_bundle_that_cannot_be_used(keyfob):
    """Is the error that a request would be."""
    [(level, message, _)] = findings(keyfob, "certificates", CODEX_CA_CERTIFICATE="/nowhere/ca.pem")
    assert level == "problem"
    assert "CODEX_CA_CERTIFICATE names /nowhere/ca.pem" in message


def test_the_rules_in_force(keyfob):
    """Each with its place."""
    path = keyfob.configure('forced_login_method = "api"\n')
    assert findings(keyfob, "policy") == [("note", f'forced_login_method = "api" ({path}:1)', None)]


@pytest.fixture
def keyring_store(keyfob, monkeypatch):
    """The place in a keyring where the OpenAI login would be."""
    monkeypatch.setattr("keyring.core._keyring_backend", Memory())
    return places(keyfob.home, "openai", "openai", lambda _: None)[1]


@pytest.mark.parametrize(
    ("setting", "in_file", "in_keyring", "mend"),
    [
        ("file", True, False, None),
        ("keyring", False, True, None),
        ("auto", True, True, "keyfob store"),
        ("file", True, True, "keyfob store"),
        ("file", False, True, "keyfob store move file"),
        ("keyring", True, False, "keyfob store move keyring"),
    ],
)
def test_logins_in_two_places_and_in_the_wrong_one(keyfob, keyring_store, setting, in_file, in_keyring, mend):
    """Are told with the command that mends it."""
    keyfob.configure(f'cli_auth_credentials_store = "{setting}"\n{ENTRY}')
    if in_file:
        login(keyfob, KEY)
    if in_keyring:
        keyring_store.write(KEY)
    levels = {None: []}.get(mend, [("warning", mend)])
    assert [(level, mended) for level, _, mended in findings(keyfob, "stores")[1:]] == levels


def test_a_login_that_only_codex_can_read(keyfob):
    """Is a warning: Codex would go on using it."""
    os.mkdir(f"{keyfob.home}/secrets")
    keyfob.configure("", "secrets/codex_auth.age")
    assert levels(keyfob, "stores") == ["note", "warning"]


@pytest.mark.parametrize(("setting", "level"), [("keyring", "problem"), ("auto", "note")])
def test_a_keyring_that_is_not_there(keyfob, setting, level):
    """Is a problem only for who needs it."""
    keyfob.configure(f'cli_auth_credentials_store = "{setting}"\n{ENTRY}')
    assert levels(keyfob, "stores") == ["note", level]


def test_an_examination_that_breaks_is_a_finding_itself(keyfob, monkeypatch):
    """And its error's text, which could hold anything, is not told."""

    def broken(_):
        raise RuntimeError("canary")

    monkeypatch.setattr("keyfob.cli.doctor.machine._file_system_of", broken)
    [(level, message, _)] = findings(keyfob, "file system")
    assert (level, message) == ("problem", "could not be examined: RuntimeError")
