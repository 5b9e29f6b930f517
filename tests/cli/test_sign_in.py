"""What somebody who signs in meets: the ways, the browser, what is said and waited for."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from keyfob.cli.browsers import opened, unseen
from keyfob.cli.ending import interrupted_once
from keyfob.cli.interaction import AtTerminal
from keyfob.cli.keyboard import keyboard
from keyfob.cli.lines import Lines
from keyfob.cli.terminal import Terminal
from keyfob.cli.ways import way
from keyfob.errors import PortError
from keyfob.host import Host

from ..logins import chatgpt  # noqa: TID252
from .signing import CONFIG, Keyboard, files, pipe, write_login

if sys.platform == "win32":
    pytest.skip("programs and terminals as POSIX has them", allow_module_level=True)

import pty
import select
import termios

URL = "https://login.example/authorize?a=1&b=$(touch canary);`touch canary`&c='%s"
SSH = {"SSH_CONNECTION": "192.0.2.7 50000 2001:db8::1 2222"}
DESKTOP = {"DISPLAY": ":0"}


class Screen(io.StringIO):
    """A stream that somebody reads at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `corp` takes OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


# The browser


@pytest.fixture
def programs(tmp_path):
    """Makes programs that note what they are run with, and end so. `PATH` has nothing else."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def make(name, status=0):
        path = folder / name
        note = shlex.quote(f"{tmp_path}/{name}.noted")
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {note}.new; {MV} {note}.new {note}; exit {status}\n")
        path.chmod(0o755)
        return str(path)

    make.path = {"PATH": str(folder)}
    make.noted = lambda name: _waited_for(tmp_path / f"{name}.noted").splitlines()
    return make


MV = "/bin/mv"


def _waited_for(path):
    ends = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends, f"{path} was not run"
        time.sleep(0.005)
    return path.read_text()


@pytest.mark.parametrize(
    ("there", "environ", "run"),
    [
        (["xdg-open", "firefox"], DESKTOP, "xdg-open"),
        (["firefox"], {"WAYLAND_DISPLAY": "wayland-0"}, "firefox"),
        (["xdg-open", "mine"], {**DESKTOP, "BROWSER": "mine"}, "mine"),
        (["xdg-open", "mine"], {**DESKTOP, "BROWSER": "lynx:gone:mine"}, "mine"),
        (["lynx", "xdg-open"], {**DESKTOP, "BROWSER": "lynx"}, "xdg-open"),
        (["mine"], {**SSH, "BROWSER": "mine"}, "mine"),
        (["wslview"], {"WSL_DISTRO_NAME": "Debian"}, "wslview"),
        (["failing", "mine"], {"BROWSER": "failing:mine"}, "mine"),
    ],
)
def test_a_browser_is_opened_that_somebody_sees(programs, there, environ, run):
    """The one that is named, else the desktop's, or that of the Windows around it; the next where one fails."""
    for name in ("lynx", "w3m", *there):
        programs(name, status=name == "failing")
    assert opened(URL, {**programs.path, **environ})
    assert programs.noted(run) == [URL]


@pytest.mark.parametrize(("named", "arguments"), [("mine --new %s -x", ["--new", URL, "-x"]), ("mine -w", ["-w", URL])])
def test_no_shell_reads_the_address(programs, tmp_path, named, arguments):
    """It is one argument, as it is."""
    programs("mine")
    assert opened(URL, {**programs.path, "BROWSER": named})
    assert programs.noted("mine") == arguments
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("there", "environ", "why"),
    [
        (["firefox"], {}, "no display"),
        ([], DESKTOP, "no browser"),
        (["w3m", "lynx", "www-browser"], {**DESKTOP, "BROWSER": "w3m:'lynx"}, "no browser"),
        (["xdg-open"], {**DESKTOP, **SSH}, "over SSH"),
        (["xdg-open"], {**DESKTOP, "SSH_TTY": "/dev/pts/1"}, "over SSH"),
    ],
)
def test_where_nobody_would_see_it_none_is_opened(programs, there, environ, why):
    """A browser of text would have the terminal to itself."""
    for name in there:
        programs(name)
    environ = {**programs.path, **environ}
    assert (unseen(environ), opened(URL, environ)) == (why, False)


def test_nothing_but_a_web_page_is_opened(programs):
    """Of a file, a desktop would run a program."""
    programs("xdg-open")
    assert not opened("file:///usr/share/applications/some.desktop", {**programs.path, **DESKTOP})


@pytest.mark.parametrize(("ends", "seconds"), [("kill -9 $$", 10.0), ("exit 1", 0.0)])
def test_a_browser_that_somebody_closes_is_not_followed_by_another(programs, tmp_path, monkeypatch, ends, seconds):
    """Killed, or ended after a while, it was there."""
    monkeypatch.setattr("keyfob.cli.browsers._FAILS_WITHIN", seconds)
    (tmp_path / "programs" / "mine").write_text(f"#!/bin/sh\n{ends}\n")
    (tmp_path / "programs" / "mine").chmod(0o755)
    programs("xdg-open")
    assert opened(URL, {**programs.path, **DESKTOP, "BROWSER": "mine"})
    for opening in [each for each in threading.enumerate() if each.name == "browser"]:
        opening.join(20)
    assert not list(tmp_path.glob("xdg-open.noted*"))


def visited(environ, typing, monkeypatch, **options):
    """What a person is told who is to sign in in a browser."""
    monkeypatch.setattr(sys, "stdin", Keyboard("") if typing else None)
    err = io.StringIO()
    AtTerminal(Terminal(io.StringIO(), err, {}), environ, **options).visit("https://login.example/", 1455)
    return err.getvalue()


def test_where_none_is_opened_the_way_from_another_machine_is_spelled_out(programs, monkeypatch):
    """As SSH reached this one; a paste is spoken of only where it can be taken."""
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    said = visited(SSH, True, monkeypatch)
    assert "open this address in a browser:\n\n  https://login.example/\n\n" in said
    assert "\n  ssh -p 2222 -L 1455:127.0.0.1:1455 me@2001:db8::1\n" in said
    assert "paste here" in said
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    unattended = visited({"PATH": ""}, False, monkeypatch)
    assert "\n  ssh -L 1455:127.0.0.1:1455 me@box\n" in unattended
    assert "paste" not in unattended
    programs("xdg-open")
    assert "ssh -L" in visited({**programs.path, **DESKTOP}, True, monkeypatch, browses=False)


def test_where_one_is_opened_the_address_is_printed_too(programs, monkeypatch):
    """It may fail to open."""
    programs("xdg-open")
    said = visited({**programs.path, **DESKTOP}, True, monkeypatch)
    assert "if none does, open this address:\n\n  https://login.example/\n\n" in said
    assert "ssh" not in said
    assert "paste here the address" in said
    assert programs.noted("xdg-open") == ["https://login.example/"]


def test_over_ssh_the_way_from_another_machine_is_spelled_out_though_one_is_opened(programs, monkeypatch):
    """The one that is named may open at the other end, as VS Code's does, or fail for want of a display."""
    programs("mine")
    said = visited({**programs.path, **SSH, "BROWSER": "mine"}, True, monkeypatch)
    assert programs.noted("mine") == ["https://login.example/"]
    assert said.index("ssh -p 2222 -L 1455:127.0.0.1:1455") < said.index("if none does, open this address:")


# What is typed meanwhile


@pytest.mark.parametrize(
    ("typed", "lines", "begun"),
    [
        ([b"one\rtwo\nthr"], ["one", "two"], 3),
        ([b"o", b"n", b"e", b"\n"], ["one"], 0),
        ([b"\x1b[200~http://", b"a?b\x1b[201~\r"], ["http://a?b"], 0),
        ([b"onf\x7fe\r"], ["one"], 0),
        ([b"wrong\x15one\r"], ["one"], 0),
        ([b"\x7f\x1b[A\x00\x04one\r"], ["one"], 0),
        ([b"x" * 5000, b"y\r"], ["x" * 5000 + "y"], 0),
        (["é".encode()[:1], "é".encode()[1:] + b"\n"], ["é"], 0),
        ([b"x" * 2**21, b"y\r"], ["y"], 0),
    ],
)
def test_keys_make_lines(typed, lines, begun):
    """As they were meant; a terminal's own marks around a paste are no part of it."""
    made = Lines()
    assert [line for each in typed for line in made.of(each)] == lines
    assert made.begun == begun


@pytest.fixture
def tty(monkeypatch):
    """A terminal at stdin; where somebody else types."""
    ours, theirs = pty.openpty()
    with open(theirs, encoding="utf-8") as stdin, open(ours, "wb", buffering=0) as typing:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typing


def modes(stream):
    return termios.tcgetattr(stream.fileno())


def until_it_listens():
    """Wait until the terminal is no more as it was."""
    ends, usual = time.monotonic() + 20, termios.ICANON | termios.ECHO
    while modes(sys.stdin)[3] & usual == usual and time.monotonic() < ends:
        time.sleep(0.005)


class Wait:
    """One wait at that terminal. typed: what is done with a line; over: when it is set, the wait is over."""

    def __init__(self):
        self.err, self.over = Screen(), threading.Event()
        self.lines = []

    def typed(self, line):
        self.lines.append(line)
        if line.startswith("good"):
            self.over.set()
            return None
        return "not that"

    def run(self, seconds=20.0):
        with interrupted_once(), AtTerminal(Terminal(io.StringIO(), self.err, {"NO_COLOR": "1"}), {}) as person:
            person.wait(seconds, left=seconds, done=self.over, typed=self.typed)
        return self.err.getvalue()


def test_a_long_paste_arrives_whole_and_unseen(tty):
    """More than the 4,095 bytes that a terminal holds; what is wrong is told, and waited on; all is as before then."""
    before, wait, long = modes(sys.stdin), Wait(), f"good{'x' * 5000}"

    def typist():
        until_it_listens()
        tty.write(b"bad\n")
        for at in range(0, len(long), 1000):
            tty.write(long[at : at + 1000].encode())
        tty.write(b"\r")

    threading.Thread(target=typist).start()
    said = wait.run()
    assert (wait.lines, modes(sys.stdin)) == (["bad", long], before)
    assert said.index("keyfob: not that") < said.index("received; asking the issuer for the login…\r\x1b[K")
    os.set_blocking(tty.fileno(), False)
    assert not _shown(tty)


def _shown(tty):
    """What the terminal itself has shown of what was typed."""
    try:
        return os.read(tty.fileno(), 65536)
    except BlockingIOError:
        return b""


def test_ctrl_c_leaves_the_terminal_as_it_was(tty):
    """Even while it is busy, and pressed twice."""
    before, wait = modes(sys.stdin), Wait()

    def interrupts(line):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return line

    wait.typed = interrupts
    tty.write(b"line\n")
    with pytest.raises(KeyboardInterrupt):
        wait.run()
    assert modes(sys.stdin) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert wait.err.getvalue().endswith("\r\x1b[K")


@pytest.mark.slow
def test_what_is_typed_while_a_code_waits_goes_nowhere(tty):
    """It is not shown, also between two waits, and not left to the shell; who types is told once."""
    before, err, told = modes(sys.stdin), Screen(), threading.Event()

    def typist():
        until_it_listens()
        tty.write(b"http://127.0.0.1/?state=1&iss=2\n\n")
        while not err.getvalue():
            time.sleep(0.005)
        told.set()

    threading.Thread(target=typist).start()
    with AtTerminal(Terminal(io.StringIO(), err, {"TERM": "dumb", "COLUMNS": "200"}), {}) as person:
        person.wait(20, left=9, done=told)
        tty.write(b"reboot\n")
        person.wait(0.1, left=9)
        tty.write(b"reboot\n")
        assert select.select([sys.stdin], [], [], 20)[0]  # it has come
    os.set_blocking(tty.fileno(), False)
    os.set_blocking(sys.stdin.fileno(), False)
    assert (modes(sys.stdin), _shown(tty)) == (before, b"")
    with pytest.raises(BlockingIOError):
        os.read(sys.stdin.fileno(), 100)
    assert err.getvalue() == "keyfob: nothing is to be typed here: the code belongs in the page at that address\n"


def test_a_second_ctrl_c_cuts_nothing_short():
    """In a hurry somebody presses it again, while all is put in order."""
    done = []

    def hurry():
        with interrupted_once():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                done.append("all is in order")

    with pytest.raises(KeyboardInterrupt):
        hurry()
    assert (len(done), signal.getsignal(signal.SIGINT)) == (1, signal.default_int_handler)


QUITS = """
import os, resource, signal
from keyfob.cli.keyboard import keyboard
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with keyboard():
    os.kill(os.getpid(), signal.SIGQUIT)
"""


def test_ctrl_backslash_leaves_the_terminal_as_it_was(tty):
    """Who ends it so is left with a terminal that shows what is typed."""
    before = modes(sys.stdin)
    ended = subprocess.run([sys.executable, "-c", QUITS], stdin=sys.stdin, timeout=60, check=False)
    assert (ended.returncode, modes(sys.stdin)) == (-signal.SIGQUIT, before)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("keyfob_openai.sign_in.invite", "given up; nothing was stored"),
        ("keyfob.signin.SignedIn", "given up; the new login was stored before that"),
    ],
)
def test_who_gives_up_is_told_whether_anything_was_stored(keyfob, issuer, monkeypatch, moment, said):
    """It may be in the moment after."""

    def interrupted(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(moment, interrupted)
    found = keyfob("login", "corp", "--device-auth")
    assert (found.code, found.err.splitlines()[-1]) == (130, f"keyfob: {said}")
    assert (keyfob("status", "corp").code == 0) == ("before" in said)


@pytest.mark.slow
def test_a_terminal_that_goes_away_is_no_busy_loop(tty, monkeypatch):
    """The wait goes on without it."""
    reads = []
    read = os.read
    monkeypatch.setattr(os, "read", lambda *arguments: reads.append(arguments) or read(*arguments))

    def hang_up():
        until_it_listens()
        tty.close()

    threading.Thread(target=hang_up).start()
    Wait().run(0.5)
    assert tty.closed
    assert len(reads) <= 1


@pytest.mark.parametrize("stdin", [None, io.StringIO(), Keyboard("pasted\n")])
def test_without_a_terminal_nothing_is_read(monkeypatch, stdin):
    """Closed, a pipe, or something that is none."""
    monkeypatch.setattr(sys, "stdin", stdin)
    wait = Wait()
    wait.run(0.01)
    assert keyboard() is None
    assert wait.lines == []


# The time that is left


@pytest.mark.slow
def test_the_time_that_is_left_is_one_line_that_gives_way(monkeypatch):
    """Rewritten when it changes, never wider than the terminal, and gone before anything else is said."""
    err = Screen()
    terminal = Terminal(io.StringIO(), err, {"TERM": "xterm", "COLUMNS": "30"})
    with AtTerminal(terminal, {}) as person:
        person.wait(0.25, left=125.2)
    assert err.getvalue() == "\r\x1b[Kwaiting for you to sign in… 2\r\x1b[K"
    terminal.passing("one")
    terminal.note("two")
    assert err.getvalue().endswith("\r\x1b[Kone\r\x1b[K\x1b[33mkeyfob:\x1b[0m two\n")


@pytest.mark.parametrize(("environ", "written"), [({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True)])
def test_what_cannot_be_rewritten_is_not_written(environ, written):
    """A terminal may know no such thing; who wants no colour wants to see what is waited for all the same."""
    err = Screen()
    AtTerminal(Terminal(io.StringIO(), err, environ), {}).wait(0.01, left=60)
    assert ("1:00 left" in err.getvalue()) == written


SENTENCE = "https://login.example/a-rather-long-address is where you go, and then you come back"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_sentence_is_broken_where_a_word_ends(width):
    """Below its beginning; but no address, nor the command that mends it, and nothing where no terminal is."""
    environ = {"COLUMNS": str(width), "NO_COLOR": "1"}
    err, pipe = Screen(), io.StringIO()
    for stream in (err, pipe):
        Terminal(io.StringIO(), stream, environ).warn(SENTENCE, hint=SENTENCE)
    assert pipe.getvalue() == f"keyfob: warning: {SENTENCE}\n  → {SENTENCE}\n"
    *lines, hint = err.getvalue().splitlines()
    assert hint == f"  → {SENTENCE}"
    assert " ".join(line[8:] for line in lines) == f"warning: {SENTENCE}"
    assert [line[:8] for line in lines] == ["keyfob: ", *[" " * 8] * (len(lines) - 1)]
    assert all(len(line) <= width or "https" in line for line in lines)
    assert len(lines) > 1


def test_a_choice_is_broken_beside_its_number():
    """In a narrow window."""
    err = Screen()
    Terminal(io.StringIO(), err, {"COLUMNS": "30"}).show_choices(["with ChatGPT, in the browser (usual)", "other"])
    assert err.getvalue() == "  1) with ChatGPT, in the\n     browser (usual)\n  2) other\n"


# The whole of it


def test_with_a_code_one_is_told_who_one_is(keyfob, issuer):
    """And where that is stored; the issuer of Codex's option for tests counts."""
    other = keyfob.environ.pop("KEYFOB_OPENAI_ISSUER")
    found = keyfob("login", "corp", "--device-auth", "--experimental_issuer", other)
    assert (found.code, found.out) == (0, ""), found.err
    assert "keyfob: signed in to corp as somebody@example.com (plan pro, workspace acct-1)\n" in found.err
    assert "keyfob: the login for corp is stored: " in found.err
    assert found.err.endswith("\n  → keyfob check corp\n")
    assert keyfob("status", "corp").code == 0


def chosen(keyfob, monkeypatch, answers, **environ):
    """The exit code of a menu that is answered so, and what it says."""
    monkeypatch.setattr(sys, "stdin", Keyboard(answers))
    monkeypatch.setattr("getpass.getpass", lambda _: "sk-typed")
    monkeypatch.setattr(Terminal, "attended", True)
    return keyfob("login", "corp", **environ)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("\n", "then enter this code"),
        ("2\n", "then enter this code"),
        ("0\n5\nbrowser\n-1\n٣\n 3 \n", "the API key for corp is stored"),
    ],
)
def test_the_menu_takes_a_number_or_the_usual_way(keyfob, issuer, monkeypatch, answers, said):
    """Anything else is asked about again; without a display a code is usual."""
    found = chosen(keyfob, monkeypatch, answers)
    assert (found.code, said in found.err) == (0, True), found.err
    assert "(usual here: no display)" in found.err
    assert found.err.count("1 to 4 [2] ") == answers.count("\n")


@pytest.mark.parametrize("answers", ["", "1"])
def test_who_leaves_the_menu_leaves_all_as_it_was(keyfob, issuer, monkeypatch, answers):
    """Ctrl-D, also within a line."""
    write_login(keyfob, chatgpt())
    before = files(keyfob.home)
    assert chosen(keyfob, monkeypatch, answers).code == 130
    assert {path: it for path, it in files(keyfob.home).items() if path in before} == before
    assert not issuer.asked


def test_on_a_desktop_the_browser_is_usual(keyfob, monkeypatch, programs):
    """It is opened when that is chosen, which nobody does here."""
    programs("xdg-open")
    found = chosen(keyfob, monkeypatch, "", **programs.path, **DESKTOP)
    assert "1) with ChatGPT, in the browser (usual)\n" in found.err
    assert found.err.endswith("1 to 4 [1] \n")


OAUTH = """
[model_providers.corp]
base_url = "https://llm.example/v1"
[model_providers.corp.oauth]
issuer = "https://sso.example"
client_id = "keyfob"
"""


@pytest.mark.parametrize(
    ("more", "environ", "chosen", "said"),
    [
        ("", {}, "browser", "no browser is expected here (no display); a code needs none"),
        ("", SSH, "browser", "keyfob login corp --device-auth"),
        ("", {**DESKTOP, "BROWSER": "true"}, "browser", None),
        (
            'authorization_endpoint = "https://a.example"\ntoken_endpoint = "https://t.example"',
            {},
            "browser",
            "display)\n",
        ),
        ('flow = "device"', {}, "device", None),
    ],
)
def test_the_way_is_the_one_that_is_configured(keyfob, monkeypatch, more, environ, chosen, said):
    """There is no menu for what is no choice; where nobody would see a browser, that is said first."""
    monkeypatch.setattr(sys, "stdin", Keyboard("\n"))
    keyfob.configure(OAUTH + more)
    login = Host({}, places=keyfob.places).provider("corp").login
    err = Screen()
    assert way(login, [], Terminal(io.StringIO(), err, {"NO_COLOR": "1"}), {"PATH": os.defpath, **environ}) == chosen
    assert said in err.getvalue() if said else not err.getvalue()


def test_policy_speaks_before_anybody_is_sent_anywhere(keyfob, issuer, programs):
    """With rule, file and line."""
    keyfob.configure(f'forced_login_method = "api"\n{CONFIG}')
    programs("xdg-open")
    found = keyfob("login", "corp", "--no-browser", **programs.path, **DESKTOP)
    assert (found.code, "forced_login_method" in found.err, "config.toml:1" in found.err) == (1, True, True)
    assert "address" not in found.err
    assert not issuer.asked


@pytest.mark.parametrize("way", ["--no-browser", "--device-auth"])
def test_a_provider_without_that_way_says_which_it_has(keyfob, way):
    """Exit code 2."""
    found = keyfob("login", "lab", way)
    assert (found.code, "→ keyfob login lab --with-api-key" in found.err) == (2, True)


@pytest.mark.parametrize("answer", ["y\n", "n\n", None])
def test_without_a_port_a_code_is_offered(keyfob, issuer, monkeypatch, answer):
    """Where nobody can be asked, or does not want to, the hint names the command."""

    def no_port(*_, **__):
        raise PortError("there is no port for the browser to come back to: 1455 is reserved")

    monkeypatch.setattr("keyfob.plugin.oauth.browser.listening", no_port)
    if answer is None:
        pipe(monkeypatch, "")
    else:
        monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    found = keyfob("login", "corp", "--no-browser")
    agreed = answer == "y\n"
    assert found.code == (0 if agreed else 1), found.err
    assert ("signed in to corp" in found.err) == agreed
    assert ("→ keyfob login corp --device-auth" in found.err) == (not agreed)


def test_codexs_options_for_its_tests_are_told_where_they_have_no_effect(keyfob, monkeypatch):
    """As in Codex, for the browser."""
    pipe(monkeypatch, "sk-new")
    options = ["--experimental_issuer", "http://127.0.0.1:9", "--experimental_client-id", "other"]
    found = keyfob("login", "corp", "--with-api-key", *options)
    assert (found.code, found.err.count("has no effect")) == (0, 2)
