"""What reaches a terminal, a pipe, a full disk and a closed stream; much of it through the installed script."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys

import pytest

from keyfob.cli.terminal import OutputError, Terminal
from keyfob.cli.text import columns
from keyfob.errors import KeyfobError
from keyfob.testing.model_server import Answer

if sys.platform == "win32":
    pytest.skip("pseudo-terminals and signals as POSIX has them", allow_module_level=True)

import fcntl
import pty
import struct
import termios

pytestmark = pytest.mark.slow

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(keyfob, *arguments, width=80, **environ):
    """What the installed script writes to a terminal of that width, stdout and stderr together."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    process = keyfob.script(*arguments, environ={"TERM": "xterm", **environ}, **streams)
    os.close(theirs)
    said = bytearray()
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # EIO: Linux says so when the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) is not None
    return said.decode().replace("\r\n", "\n")


@pytest.fixture
def wide(lab):
    """Entries that a narrow terminal has no room for."""
    path = lab.configure("", "keyfob.toml")
    with open(path, "w") as file:
        file.write("""
[model_providers."a provider with a rather long name"]
base_url = "https://llm.a-rather-long-name.example.com/deployments/production/v1"
env_key = "A_VARIABLE_WITH_A_NAME_THAT_IS_LONG_TOO"
[model_providers."\\u001b[31mred\\u0007"]
base_url = "https://red.example"
""")
    return lab


COMMANDS = ["providers", "explain", "plugins", "check"]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_tables_fit(wide, command, width):
    """At every width; with colour, and no other escape."""
    must_fit(wide(command, tty=True, COLUMNS=str(width)).out, width)


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_tables_fit_a_real_terminal(wide, command, width):
    """Which is asked for its width."""
    must_fit(on_a_terminal(wide, command, width=width), width)


def must_fit(said, width):
    """This is in colour, harmless, and no wider than the terminal, but for hints: a command stays whole."""
    bare = _SGR.sub("", said)
    assert said != bare
    assert "\x1b" not in bare
    assert "\x07" not in bare
    assert max(columns(line) for line in bare.splitlines() if not line.startswith("  → ")) <= width


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(lab, environ):
    """A table it stays."""
    for said in (on_a_terminal(lab, "plugins", **environ), lab("plugins", tty=True, **environ).out):
        assert "\x1b" not in said
        assert said.startswith("KIND ")


@pytest.mark.slow
def test_an_empty_no_color_says_nothing(lab):
    """As no-color.org has it."""
    assert "\x1b[" in on_a_terminal(lab, "providers", NO_COLOR="")


@pytest.mark.slow
def test_columns_goes_before_the_terminal(lab):
    """Whoever sets it means it."""
    said = on_a_terminal(lab, "explain", "fixed", width=200, COLUMNS="50", NO_COLOR="1")
    assert max(map(columns, said.splitlines())) <= 50


def test_secrets_do_not_reach_a_terminal_unasked(lab):
    """headers masks there."""
    assert "sk-canary" not in on_a_terminal(lab, "headers", "fixed")
    assert "sk-canary-fixed" in on_a_terminal(lab, "headers", "fixed", "--reveal")


def test_a_pipe_gets_neither_colour_nor_head(lab):
    """And JSON is for any reader."""
    assert b"\x1b" not in lab.finished("providers").data
    assert lab.finished("providers").data.startswith(b"lab\t")


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_fault(lab):
    """Quiet, as `| head` expects."""
    for arguments in (["providers"], ["request", "models"], ["--help"], ["config", "schema"]):
        ours, theirs = os.pipe()
        os.close(ours)
        found = lab.finished(*arguments, stdout=theirs)
        os.close(theirs)
        assert (found.code, found.err) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_said(lab):
    """One sentence, exit code 1."""
    for arguments in (["providers"], ["request", "models"]):
        with open("/dev/full", "w") as full:
            found = lab.finished(*arguments, stdout=full)
        assert (found.code, found.err) == (1, "keyfob: cannot write to stdout: No space left on device\n")


def closing(keyfob, redirection, *arguments):
    """Run the script from a shell that closes one of its streams."""
    words = ["sh", "-c", f'exec "$0" "$@" {redirection}', keyfob.script_path, *arguments]
    return subprocess.run(words, env=keyfob.script_environ, capture_output=True, text=True, timeout=60)


def test_streams_may_be_closed(lab):
    """Data that nobody can get is an error; what is said to nobody is not."""
    done = closing(lab, ">&-", "providers")
    assert (done.returncode, done.stderr) == (1, "keyfob: stdout is closed\n")
    done = closing(lab, "2>&-", "explain", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    done = closing(lab, "<&-", "request", "responses", "-d", "-")
    assert (done.returncode, "stdin is closed" in done.stderr) == (2, True)


@pytest.mark.slow
def test_arguments_need_not_be_text(lab):
    """Bytes that are no UTF-8: a sentence, or the data that they are."""
    for arguments in ([b"\xff"], [b"token", b"\xff"], [b"request", b"\xff"], [b"-c", b"\xff=1", b"token"]):
        found = lab.finished(*arguments)
        assert "Traceback" not in found.err
        assert "internal" not in found.err
    assert lab.finished(b"request", b"responses", b"-d", b"\xff").code == 0


def test_a_locale_without_the_letters_is_no_fault(keyfob):
    """They are written as escapes."""
    keyfob.configure('[model_providers."模型"]\nbase_url = "https://x.example"\n')
    found = keyfob.finished("providers", environ={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert found.data.startswith(rb"\u6a21\u578b")


def test_ctrl_c_ends_it_quietly(lab, server):
    """130, and no traceback."""
    server._script["models"] = [Answer.of("hang")]
    for command in (["request", "models"], ["check", "lab"]):
        before = len(server.received)
        process = lab.script(*command)
        server.wait_for(before + 1, timeout=60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (130, b"", b"")


def test_a_terminal_has_a_width_in_any_case():
    """Eighty columns, where nobody says."""
    assert Terminal(io.StringIO(), io.StringIO(), {}).width == 80
    assert Terminal(io.StringIO(), io.StringIO(), {"COLUMNS": "0"}).width == 80
    assert Terminal(io.StringIO(), io.StringIO(), {"COLUMNS": "x"}).width == 80


def test_what_is_said_to_a_closed_stderr_is_not_said_on_stdout(monkeypatch):
    """print(file=None) would."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", out)
    Terminal(environ={}).error(KeyfobError("x"))
    assert out.getvalue() == ""


def test_data_for_a_closed_stdout_is_an_error(monkeypatch):
    """Nobody would get it."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="stdout is closed"):
        Terminal(environ={}).data("x")
