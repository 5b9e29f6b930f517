"""`keyfob login` in a real terminal: tmux types through the menu and pastes, with a shell behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final, Self

import pytest

from . import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from keyfob.testing.issuer import Issuer

pytestmark = pytest.mark.usefixtures("port_1455")
PATIENCE_S: Final = 30.0
WAITS: Final = "left, Ctrl-C gives up"


class Tmux:
    """A shell in a terminal of its own."""

    def __init__(self, root: Path, environ: Mapping[str, str], columns: int = 100) -> None:
        self._folder = tempfile.mkdtemp(prefix="kf-")  # a socket's path has to be short
        self._size = ["-x", str(columns), "-y", "50"]
        self._root, self._environ = root, {**environ, "TERM": "xterm"}

    def __enter__(self) -> Self:
        self._do("new-session", "-d", *self._size, "PS1='$ ' bash --norc --noprofile")
        return self

    def __exit__(self, *_: object) -> None:
        self._do("kill-server")
        shutil.rmtree(self._folder)

    def _do(self, *command: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", f"{self._folder}/socket", "-f", os.devnull, *command],
            env=self._environ,
            cwd=self._root,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout

    @property
    def screen(self) -> str:
        """All that is there to be seen, also what has gone off the top; what is of several lines is one."""
        return self._do("capture-pane", "-p", "-J", "-S", "-").rstrip().replace("\n        ", " ")

    def press(self, *keys: str) -> None:
        """Keys as tmux names them, or text."""
        self._do("send-keys", *keys)

    def paste(self, text: str) -> None:
        """As a terminal pastes into a program, in one go."""
        path = f"{self._folder}/pasted"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self._do("load-buffer", path)
        self._do("paste-buffer", "-p")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it is on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self.screen)):
            assert time.monotonic() < deadline, f"{pattern!r} did not come:\n{self.screen}"
            time.sleep(0.02)
        return found

    def shell(self, command: str) -> str:
        """Have the shell run it; what it says."""
        self.press(f"{command}; echo done=$?", "Enter")
        said = self.wait_for(r"(?s)\$ " + re.escape(command) + r"; echo done=\$\?\n(.*)done=\d+\n")
        self.press("clear", "Enter")
        self._do("clear-history")
        self.wait_for(r"\A\$\Z")
        return said[1].strip()


@pytest.fixture
def environ(tmp_path: Path, issuer: Issuer) -> dict[str, str]:
    """Somebody's on a machine without a display; `keyfob` is in their PATH."""
    if not shutil.which("tmux"):
        assert os.environ.get("KEYFOB_E2E") != "all", "there is no tmux"
        pytest.skip("there is no tmux (Debian: apt-get install tmux)")
    base = parts.offline_environ(str(tmp_path)) | issuer.environ
    path = os.pathsep.join([os.path.dirname(sys.executable), base["PATH"]])
    (tmp_path / "codex").mkdir()
    return {**base, "PATH": path, "CODEX_HOME": str(tmp_path / "codex"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def terminal(tmp_path: Path, environ: dict[str, str]) -> Iterator[Tmux]:
    with Tmux(tmp_path, environ) as running:
        yield running


def came_back(address: str) -> str:
    """Where the browser ends, which it cannot load: the address in its address bar."""
    try:
        urllib.request.build_opener(_Stays, urllib.request.ProxyHandler({})).open(address, timeout=PATIENCE_S)
    except urllib.error.HTTPError as answer:
        with answer:
            return str(answer.headers["Location"])
    raise AssertionError("the issuer sent nobody anywhere")


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """The address is what is wanted, not what is there."""


def test_the_menu_and_a_pasted_address(terminal: Tmux, tmp_path: Path) -> None:
    """Chosen, stopped and taken up again, refused, pasted: 5,000 bytes, of which nothing shows; and all as before."""
    before = terminal.shell("stty -g")
    terminal.press("keyfob login openai", "Enter")
    terminal.wait_for(r"code on another device \(usual here: no display\)[^\0]*1 to 4 \[2\]")
    for answer in ("9", "1"):
        terminal.press(answer, "Enter")
    terminal.wait_for(WAITS)
    address = terminal.wait_for(r"http://\S+/oauth/authorize\?\S+")[0]
    terminal.wait_for(r"ssh -L 1455:127\.0\.0\.1:1455 \S+@\S+\n")

    terminal.press("C-z")
    terminal.wait_for("Stopped")
    terminal.press("stty -g", "Enter")
    terminal.wait_for(f"\n{before}\n")
    terminal.press("fg", "Enter")
    terminal.wait_for(rf"(?s)\$ fg\n.*{WAITS}")

    answer = came_back(address)
    terminal.paste(f"{answer.replace('state=', 'state=x')}\n")
    terminal.wait_for("of another sign-in")
    terminal.paste(f"{answer}&more={'x' * 5000}")
    terminal.wait_for(r"5,\d+ letters, not shown; press Enter")
    terminal.press("Enter")
    terminal.wait_for(r"keyfob: signed in to openai as somebody@example.com \(plan pro, workspace acct-1\)\n")
    terminal.wait_for(r"is stored: ~/codex/auth\.json\n  → keyfob check openai\n\$")
    for secret in (answer, "xxxxx", re.findall("code=([^&]+)", answer)[0]):
        assert secret not in terminal.screen
    assert terminal.shell("echo $?; stty -g") == f"0\n{before}"
    assert json.loads((tmp_path / "codex" / "auth.json").read_text())["tokens"]["access_token"]


@pytest.mark.parametrize(
    ("ends", "code"),
    [(["C-c"] * 3, 130), (["SIGTERM"], 143)],
    ids=["Ctrl-C in a hurry", "SIGTERM"],
)
def test_nothing_is_left_of_who_gives_up(tmp_path: Path, environ: dict[str, str], ends: list[str], code: int) -> None:
    """In a narrow window: one line tells the time. The terminal is as before, the port free, and nothing is stored."""
    with Tmux(tmp_path, environ, columns=30) as terminal:
        before = terminal.shell("stty -g")
        terminal.press("sh -c 'echo $$ > pid; exec keyfob login openai --no-browser'", "Enter")
        terminal.wait_for(r"waiting for you to sign in… 1?\Z")
        time.sleep(1.2)  # it was written twice by now
        assert terminal.screen.count("waiting for you") == 1
        if ends[0].startswith("C-"):
            terminal.press(*ends)
        else:
            os.kill(int((tmp_path / "pid").read_text()), getattr(signal, ends[0]))
        terminal.wait_for(r"\n\$\Z")
        assert "waiting for you" not in terminal.screen
        assert terminal.shell("echo $?; stty -g") == f"{code}\n{before}"
    assert not (tmp_path / "codex" / "auth.json").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 1455))


def test_who_gives_up_when_the_browser_has_answered(terminal: Tmux, tmp_path: Path, issuer: Issuer) -> None:
    """It is said what is waited for, and that nothing was stored."""
    issuer.sign_in.answers["token.code"] = ["hang"]
    terminal.press("keyfob login openai --no-browser", "Enter")
    terminal.wait_for(WAITS)
    terminal.paste(came_back(terminal.wait_for(r"http://\S+/oauth/authorize\?\S+")[0]) + "\n")
    terminal.wait_for(r"\nreceived; asking 127\.0\.0\.1 for the login…\Z")
    terminal.press("C-c")
    terminal.wait_for(r"\nkeyfob: given up; nothing was stored\n\$\Z")
    assert "received" not in terminal.screen
    assert not (tmp_path / "codex" / "auth.json").exists()


def test_what_is_typed_while_a_code_waits_is_not_run(terminal: Tmux, tmp_path: Path, issuer: Issuer) -> None:
    """An address holds three commands, to a shell."""
    issuer.sign_in.pending, issuer.sign_in.interval = None, "1"
    terminal.press("keyfob login openai --device-auth", "Enter")
    terminal.wait_for(WAITS)
    for _ in range(3):
        terminal.paste("http://127.0.0.1/?code=1&touch\\ canary&iss=2\n")
        time.sleep(0.5)
    code = terminal.wait_for(r"\n  (\w{4}-\w{4,5})\n")[1]
    assert issuer.sign_in.approve(code)
    terminal.wait_for(r"is stored: ~/codex/auth\.json\n  → keyfob check openai\n\$\Z")
    assert "canary" not in terminal.screen
    assert terminal.screen.count("nothing is to be typed here") == 1
    assert not (tmp_path / "canary").exists()


def test_who_goes_away_from_the_menu(terminal: Tmux) -> None:
    """Ctrl-D is no answer; Enter over SSH means a code."""
    terminal.press("SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22' keyfob login openai", "Enter")
    terminal.wait_for(r"\(usual here: over SSH\)[^\0]*1 to 4 \[2\]")
    terminal.press("C-d")
    terminal.wait_for(r"1 to 4 \[2\] ?\n\$\Z")
    assert terminal.shell("echo $?") == "130"
    terminal.press("SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22' keyfob login openai", "Enter")
    terminal.wait_for(r"1 to 4 \[2\]")
    terminal.press("Enter")
    terminal.wait_for(r"then enter this code there[^\0]*signed in to openai[^\0]*\n\$\Z")
