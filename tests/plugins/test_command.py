"""`auth.command`: one bounded run of a program, and nothing of it left behind.

What Codex does is from its recorded runs (auth_cmd_*); where keyfob differs, design.md says so: a failure is an error.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from keyfob.errors import CommandError, CredentialError, IllegalHeaderError
from keyfob_command.process import STDERR_LIMIT, STDOUT_LIMIT, Failure, run

from ..homes import alive  # noqa: TID252

TICK = 0.02
PATIENCE = 10.0


def provider_of(home, script, keys="", **options):
    """A provider whose command is this shell script."""
    path = home.folder / "tok"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return home.provider(
        f"[model_providers.x]\nbase_url = 'https://x.example'\n[model_providers.x.auth]\ncommand = '{path}'\n{keys}\n",
        **options,
    )


def token(home, script, keys=""):
    """What the command's output came to."""
    return provider_of(home, script, keys).credential().token


def failure(home, script, keys="", kind=CommandError):
    """The error of a command that fails, without who failed."""
    provider = provider_of(home, script, keys)
    with pytest.raises(kind) as caught:
        provider.credential()
    assert caught.value.exit_code == 1
    who, _, what = str(caught.value).partition("tok` ")
    assert who.startswith("provider x: command `")
    return what


def eventually(condition):
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(TICK)


def pid_in(path):
    """The process id that a script wrote into a file."""
    eventually(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No file descriptor stays open, and no child uncollected, whatever the command did."""
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    yield
    if before:
        assert len(os.listdir("/proc/self/fd")) <= len(before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# What it prints


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo tok", "tok"),
        ("printf tok", "tok"),
        ("printf '  tok \\r\\n\\n'", "tok"),
        ("echo noise >&2; echo tok", "tok"),
        ("head -c 100000 /dev/zero | tr '\\0' x >&2; echo tok", "tok"),
        ("printf 'a b'", "a b"),
        (f"head -c {STDOUT_LIMIT} /dev/zero | tr '\\0' x", "x" * STDOUT_LIMIT),
    ],
    ids=["line", "no line", "padded", "noise", "much noise", "blank inside", "as much as may be"],
)
def test_its_whole_output_is_the_token(home, script, expected):
    """Blanks around it are trimmed; stderr does not matter."""
    assert token(home, script) == expected


def test_it_is_sent_as_a_bearer_token(home):
    """In one header."""
    assert dict(provider_of(home, "echo tok").headers()) == {"Authorization": "Bearer tok"}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 0", "printed no token"),
        ("echo", "printed no token"),
        ("echo why >&2", "printed no token: why"),
        ("echo tok; echo why >&2; exit 3", "exited with status 3: why"),
        ("exit 3", "exited with status 3"),
        ("kill -9 $$", "was killed by signal 9"),
        ("kill -TERM $$", "was killed by signal 15"),
        ("printf 'tok\\377\\n'", "printed something that is not UTF-8"),
        ("printf 'a\\033[2Jb\\nc\\001\\342\\200\\256' >&2; exit 1", "exited with status 1: a [2Jb\nc"),
        ("yes | head -c 70000", f"printed more than {STDOUT_LIMIT} bytes"),
        ("yes", f"printed more than {STDOUT_LIMIT} bytes"),
    ],
)
def test_a_failure_is_an_error_with_what_it_said(home, script, says):
    """Status or signal, and stderr without what could move a terminal's cursor; never stdout."""
    assert failure(home, script) == says


def test_of_much_stderr_the_end_is_told(home):
    """Where programs say what went wrong."""
    said = failure(home, "yes | head -c 1000000 >&2; echo the reason >&2; exit 1")
    assert said.endswith("the reason")
    assert len(said) <= STDERR_LIMIT + len("exited with status 1: ")


@pytest.mark.parametrize(
    ("script", "has"),
    [
        ("printf 'one\\ntwo'", "a line break"),
        ("printf 'töken'", "not ASCII"),
        ("printf 'a\\033b'", "a control character"),
    ],
)
def test_a_token_that_no_header_may_hold(home, script, has):
    """Two lines above all. The text does not repeat them."""
    said = failure(home, script, kind=IllegalHeaderError)
    assert has in said
    assert "one" not in said


# What is run


def test_arguments_are_given_literally(home):
    """No shell."""
    text = "[model_providers.x]\nbase_url = 'https://x'\nauth = { command = 'echo', args = ['$HOME', 'b c', '*'] }\n"
    home.environ["PATH"] = os.environ["PATH"]
    assert home.provider(text).credential().token == "$HOME b c *"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("no-such-command-kf", "is not in PATH"),
        ("echo tok", "is not in PATH"),
        ("/no/such/file", "cannot run: No such file or directory"),
        ("/", "cannot run: Permission denied"),
        ("a\0b", "is not in PATH"),
        ("/a\0b", "cannot run: an argument or an environment variable cannot be handed on"),
    ],
)
def test_what_cannot_be_run(command, says):
    """Each with its reason."""
    with pytest.raises(Failure) as caught:
        run([command], cwd=None, environ={"PATH": os.environ["PATH"]}, timeout=PATIENCE)
    assert str(caught.value) == says


def test_a_file_that_is_not_executable(home):
    """Nor is one whose interpreter is not there."""
    provider = provider_of(home, "echo tok")
    (home.folder / "tok").chmod(0o644)
    with pytest.raises(CommandError, match="cannot run: Permission denied"):
        provider.credential()
    assert provider.state().summary.endswith("tok` is not executable")


def test_a_nul_cannot_be_handed_on(home):
    """In an argument, or in the environment."""
    for argv, environ in ((["/bin/echo", "a\0b"], {}), (["/bin/echo"], {"A": "b\0c"})):
        with pytest.raises(Failure, match="cannot be handed on"):
            run(argv, cwd=None, environ=environ, timeout=PATIENCE)


def test_a_path_counts_from_cwd(home):
    """auth_cmd_relative_with_abs_cwd."""
    (home.folder / "bin").mkdir()
    script = 'echo "pwd=$(pwd)"'
    provider_of(home, script)
    os.rename(home.folder / "tok", home.folder / "bin" / "tok")
    text = "[model_providers.x]\nbase_url = 'https://x'\n[model_providers.x.auth]\ncommand = './tok'\n"
    assert home.provider(f"{text}cwd = '{home.folder}/bin'\n").credential().token == f"pwd={home.folder}/bin"
    assert home.provider(f"{text}cwd = 'bin'\n").credential().token == f"pwd={home.folder}/bin"


def test_without_cwd_a_path_counts_from_the_current_folder(home, monkeypatch):
    """auth_cmd_relative_slash_no_cwd."""
    provider_of(home, 'echo "pwd=$(pwd)"')
    monkeypatch.chdir(home.root)
    text = "[model_providers.x]\nbase_url = 'https://x'\n[model_providers.x.auth]\ncommand = 'home/tok'\n"
    assert home.provider(text).credential().token == f"pwd={home.root}"


def test_a_relative_cwd_counts_from_the_file_that_sets_it(home, monkeypatch):
    """From the current folder where `-c` sets it."""
    (home.system / "bin").mkdir()
    (home.system / "config.toml").write_text("[model_providers.x.auth]\ncwd = 'bin'\n")
    text = "[model_providers.x]\nbase_url = 'https://x'\n[model_providers.x.auth]\ncommand = 'pwd'\n"
    home.environ["PATH"] = os.environ["PATH"]
    assert home.provider(text).credential().token == f"{home.system}/bin"
    monkeypatch.chdir(home.root)
    overridden = home.provider(text, overrides=["model_providers.x.auth.cwd=home"])
    assert overridden.credential().token == str(home.folder)


@pytest.mark.parametrize(("cwd", "folder"), [("~", "me"), ("~/", "me"), ("~/bin", "me/bin")])
def test_a_cwd_in_the_home_folder(home, cwd, folder):
    """As in Codex; of the environment that the host was given."""
    (home.root / "me" / "bin").mkdir(parents=True)
    home.environ["HOME"] = str(home.root / "me")
    token = provider_of(home, 'echo "pwd=$(pwd)"', f"cwd = '{cwd}'").credential().token
    assert token == f"pwd={home.root / folder}"


def test_a_cwd_in_somebody_elses_home_folder_is_a_relative_one(home):
    """As in Codex."""
    assert failure(home, "echo tok", "cwd = '~root'") == f"cannot run: its folder {home.folder}/~root is not there"


def test_a_cwd_that_is_not_there(home):
    """The folder is named."""
    assert failure(home, "echo tok", "cwd = 'none'") == f"cannot run: its folder {home.folder}/none is not there"
    assert not provider_of(home, "echo tok", "cwd = 'none'").state().ready


def test_a_relative_cwd_in_a_deleted_folder(home, monkeypatch):
    """Is not there either."""
    gone = home.root / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    provider = provider_of(home, "echo tok", overrides=["model_providers.x.auth.cwd=rel"])
    with pytest.raises(CommandError, match="its folder rel is not there"):
        provider.credential()
    assert token(home, "echo tok") == "tok"


def test_a_bare_name_is_looked_for_in_the_hosts_path(home):
    """Of the environment it was given, and of `.env` over that; relative to nowhere else."""
    provider_of(home, "echo tok")
    text = "[model_providers.x]\nbase_url = 'https://x'\nauth = { command = 'tok', cwd = '/' }\n"
    with pytest.raises(CommandError, match="is not in PATH"):
        home.provider(text).credential()
    home.write(f"PATH={home.folder}:{os.environ['PATH']}\n", ".env")
    assert home.provider(text).credential().token == "tok"


def test_it_sees_the_hosts_environment(home):
    """With `.env` over it, and the provider it is asked for; its stdin is empty."""
    home.environ.update(PATH=os.environ["PATH"], FROM_ENV="one", BOTH="two")
    home.write("BOTH=three\nFROM_FILE=four\n", ".env")
    assert token(home, 'echo "$FROM_ENV $BOTH $FROM_FILE $KEYFOB_ASKING $HOME$(cat)"') == "one three four x"


def test_one_that_asks_keyfob_for_the_same_provider_is_refused(home):
    """By what it finds in its environment."""
    home.environ["KEYFOB_ASKING"] = "y,x"
    with pytest.raises(CredentialError, match="provider x is being asked for its credential by a command") as caught:
        provider_of(home, "echo tok").credential()
    assert caught.value.hint == "keyfob explain x"
    home.environ["KEYFOB_ASKING"] = "y,xx"
    assert token(home, 'echo "$KEYFOB_ASKING"') == "y,xx,x"


def test_its_state_is_told_without_running_it(home):
    """Whether it is there and can be run."""
    provider = provider_of(home, "touch ran; echo tok", f"cwd = '{home.root}'")
    assert provider.state().ready
    assert provider.state().comes_from.startswith("command `")
    (home.folder / "tok").unlink()
    assert provider.state().summary.endswith("tok` is not there")
    assert not (home.root / "ran").exists()


# When it is run

COUNTED = 'echo x >> "$0.runs"; echo tok-$(wc -l < "$0.runs" | tr -d " ")'


@pytest.mark.slow
def test_it_is_run_once_and_then_again_by_age(home):
    """refresh_interval_ms; 0 is never, the default is five minutes."""
    for keys, ages, tokens in (
        ("", (0, 299, 301), ("tok-1", "tok-1", "tok-2")),
        ("refresh_interval_ms = 0", (0, 10**9), ("tok-1", "tok-1")),
        ("refresh_interval_ms = 50", (0, 0.04, 0.06), ("tok-1", "tok-1", "tok-2")),
        ("refresh_interval_ms = 1", (0, 1, 2), ("tok-1", "tok-2", "tok-3")),
    ):
        (home.folder / "tok.runs").unlink(missing_ok=True)
        now = [1e9]
        provider = provider_of(home, COUNTED, keys, clock=lambda now=now: now[0])
        found = []
        for age in ages:
            now[0] = 1e9 + age
            found.append(provider.credential().token)
        assert tuple(found) == tokens


def test_a_rejected_token_is_fetched_once_more(home):
    """What a 401 comes to; the answer of the second run is not thrown away at once."""
    provider = provider_of(home, COUNTED)
    first = provider.credential()
    second = provider.source.get(rejected=first)
    assert (first.token, second.token) == ("tok-1", "tok-2")
    assert provider.source.get(rejected=second) is second
    assert provider.credential() is second


def test_a_failure_is_not_remembered(home):
    """The next request runs it again."""
    provider = provider_of(home, 'test -e "$0.ready" || exit 1; echo tok')
    with pytest.raises(CommandError):
        provider.credential()
    (home.folder / "tok.ready").touch()
    assert provider.credential().token == "tok"


@pytest.mark.slow
def test_many_threads_run_it_once(home):
    """From the first moment on, when none of them has a provider yet."""
    host = provider_of(home, f"sleep 0.2; {COUNTED}").host
    start = threading.Barrier(16)
    found = []

    def ask():
        start.wait()
        found.append(host.provider("x").credential().token)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["tok-1"] * 16


# What is left of it


@pytest.mark.slow
def test_one_that_hangs_is_killed_with_all_it_started(home):
    """Children and grandchildren: its process group."""
    script = "sh -c \"sh -c 'echo \\$\\$ > $0.grandchild; sleep 60' & wait\" & echo $$ > $0.self; wait; echo tok"
    assert failure(home, script, "timeout_ms = 700") == "timed out after 700 ms"
    for name in ("self", "grandchild"):
        pid = pid_in(home.folder / f"tok.{name}")
        eventually(lambda pid=pid: not alive(pid))


@pytest.mark.slow
def test_one_that_ignores_signals_is_killed(home):
    """There is no asking first."""
    assert failure(home, "trap '' TERM INT HUP; sleep 60", "timeout_ms = 300") == "timed out after 300 ms"


@pytest.mark.slow
def test_a_hint_says_what_to_raise(home):
    """Perhaps it was only slow."""
    provider = provider_of(home, "sleep 60", "timeout_ms = 100")
    with pytest.raises(CommandError) as caught:
        provider.credential()
    assert caught.value.hint == "raise auth.timeout_ms"


@pytest.mark.slow
def test_one_that_closes_its_output_is_waited_for(home):
    """Its exit status counts."""
    assert failure(home, "echo tok; exec >&- 2>&-; sleep 0.2; exit 5") == "exited with status 5"
    assert failure(home, "exec >&- 2>&-; sleep 60", "timeout_ms = 300") == "timed out after 300 ms"


@pytest.mark.slow
def test_a_child_that_holds_the_output(home):
    """It ended, but its output did not: that is a time-out, as in Codex, and the child is killed."""
    script = "sleep 60 & echo $! > $0.child; echo tok"
    said = failure(home, script, "timeout_ms = 500")
    assert said == "timed out after 500 ms: it ended, but something that it started still holds its output"
    pid = pid_in(home.folder / "tok.child")
    eventually(lambda: not alive(pid))


@pytest.mark.slow
def test_a_child_of_its_own_session_that_holds_the_output(home):
    """It cannot be killed with the group, but it is not waited for, and keeps nothing of ours open."""
    program = "import os, time; os.setsid(); open(os.environ['F'], 'w').write(str(os.getpid())); time.sleep(60)"
    home.environ.update(F=str(home.folder / "child"), PATH=os.environ["PATH"])
    script = f'{sys.executable} -c "{program}" & while ! test -s "$F"; do sleep 0.05; done; echo tok'
    try:
        said = failure(home, script, "timeout_ms = 3000")
        assert said.endswith("still holds its output")
    finally:
        os.kill(pid_in(home.folder / "child"), signal.SIGKILL)


def test_a_daemon_that_detached_lives_on(home):
    """An agent that the command started for the next time: it holds none of our pipes."""
    script = "sleep 60 >/dev/null 2>&1 & echo $! > $0.agent; echo tok"
    assert token(home, script) == "tok"
    pid = pid_in(home.folder / "tok.agent")
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_time_out_of_years_is_no_overflow(home):
    """Any integer that Codex takes."""
    assert token(home, "echo tok", f"timeout_ms = {2**63 - 1}") == "tok"


@pytest.mark.slow
def test_ctrl_c_kills_it(home):
    """It is in a session of its own and does not see the terminal's signal."""
    provider_of(home, "echo $$ > $0.pid; sleep 60")
    program = textwrap.dedent(f"""
        import sys
        from keyfob_command.process import run
        try:
            run([{str(home.folder / "tok")!r}], cwd=None, environ={{"PATH": {os.environ["PATH"]!r}}}, timeout=60)
        except KeyboardInterrupt:
            sys.exit(130)
    """)
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        pid = pid_in(home.folder / "tok.pid")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    eventually(lambda: not alive(pid))
