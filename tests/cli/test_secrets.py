"""`token`, `headers` and `exec`: the commands that hand a credential on."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from keyfob.cli import exec as exec_command
from keyfob.cli.secret import agreed
from keyfob.cli.terminal import Terminal
from keyfob.cli.times import rfc3339
from keyfob.credentials.credential import Credential
from keyfob.providers import Provider

KEY = "sk-canary-lab"


@pytest.mark.parametrize(
    ("arguments", "token"), [([], KEY), (["fixed"], "sk-canary-fixed"), (["run"], "sk-canary-run")]
)
def test_token_is_one_line(lab, arguments, token):
    """Of the provider that is named, else of the default one."""
    assert lab("token", *arguments).out == f"{token}\n"
    assert lab("token", "--repeat-means-refused", *arguments).out == f"{token}\n"


def test_token_as_a_header(lab):
    """As curl -H takes it."""
    assert lab("token", "--format", "header").out == f"Authorization: Bearer {KEY}\n"


def test_token_as_json(lab, server):
    """--json is --format json."""
    found = json.loads(lab("token", "--json").out)
    assert found == {"provider": "lab", "token": KEY, "expires_at": None, "base_url": server.base_url}
    assert json.loads(lab("token", "--format", "json").out) == found


PRINTS = """
import os, subprocess
from keyfob.cli.unprinted import unprinted
with unprinted():
    for descriptor in (1, 2):
        os.write(descriptor, b"a plugin")
    subprocess.run(["sh", "-c", "echo its child; echo its child >&2 || :"])
print("the token")
"""


@pytest.mark.slow
def test_where_stderr_is_closed_what_a_plugin_prints_goes_nowhere():
    """Stdout is for the token alone."""
    closing = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, PRINTS]
    assert subprocess.run(closing, stdout=subprocess.PIPE, check=True, timeout=60).stdout == b"the token\n"


@pytest.mark.parametrize(("typed", "yes"), [(b"YES\n", True), (b"\xff\n", False), (b"", False)])
def test_a_question_is_answered_whatever_is_typed_and_wherever_stderr_goes(monkeypatch, typed, yes):
    """A person without a screen may still say yes; bytes that are no text, and nothing at all, are a no."""
    stdin = io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", None)
    assert agreed("Replace it?", Terminal(environ={})) is yes


def expiring(monkeypatch, credential):
    monkeypatch.setattr(Provider, "credential", lambda self: credential)


def test_token_for_kubectl(lab, monkeypatch):
    """The expiry is there where it is known."""
    head = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    assert json.loads(lab("token", "--format", "exec-credential").out) == {**head, "status": {"token": KEY}}
    expiring(monkeypatch, Credential.bearer("t", expires_at=1_700_000_000.9))
    assert json.loads(lab("token", "--format", "exec-credential").out)["status"] == {
        "token": "t",
        "expirationTimestamp": "2023-11-14T22:13:20Z",
    }
    assert json.loads(lab("token", "--json").out)["expires_at"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("beyond", [1e18, -1e18, float("1e300")])
def test_a_time_beyond_any_calendar_is_not_known(beyond):
    """Rather than an error."""
    assert rfc3339(beyond) is None


def evaluated(text):
    """What a shell makes of these lines."""
    script = f'{text}\nprintf "%s|%s" "$OPENAI_BASE_URL" "${{OPENAI_API_KEY-unset}}"'
    environ = {"OPENAI_API_KEY": "foreign", "PATH": os.defpath}
    return subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, timeout=60).stdout


def test_token_for_a_shell(lab, server):
    """Lines for eval; a provider without authentication takes a foreign key away."""
    assert evaluated(lab("token", "--format", "env").out) == f"{server.base_url}|{KEY}"
    assert evaluated(lab("token", "open", "--format", "env").out) == f"{server.base_url}|unset"


def test_token_for_a_shell_is_quoted(lab, server):
    """A token of blanks, quotes and commands is what it was."""
    token = "a b'c\"$(touch x);&`id`\\"
    said = lab("token", "--format", "env", LAB_KEY=token)
    assert evaluated(said.out) == f"{server.base_url}|{token}"
    assert shlex.quote(token) in said.out


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "needs no token"),
        ({"X-Key": "a", "X-Secret": "b"}, "not authenticated by a single token, but by X-Key, X-Secret"),
    ],
)
def test_a_kind_without_a_single_token_says_what_to_use(lab, monkeypatch, headers, said):
    """Exit code 2, and nothing on stdout."""
    expiring(monkeypatch, Credential(headers))
    found = lab("token")
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_a_key_in_another_header_is_not_put_into_variables(lab, monkeypatch):
    """With OPENAI_API_KEY it would be sent as a bearer token; as a header it can be had."""
    expiring(monkeypatch, Credential({"X-Key": "sk-canary"}))
    for arguments in (["token", "--format", "env"], ["exec", "lab", "--", "true"]):
        found = lab(*arguments)
        assert (found.code, "lab sends X-Key, which OPENAI_API_KEY cannot" in found.err) == (2, True)
    assert lab("token", "--format", "header").out == "X-Key: sk-canary\n"


def test_a_missing_key_is_said(lab):
    """Exit code 1, the variable, and what to do."""
    for arguments in (["token", "unset"], ["headers", "unset"], ["exec", "unset", "--", "true"]):
        found = lab(*arguments)
        assert (found.code, found.out) == (1, "")
        assert "UNSET_KEY is not set" in found.err
        assert "export UNSET_KEY=…" in found.err


def test_headers_are_printed_whole_into_a_pipe(lab):
    """And query parameters are mentioned, by name."""
    found = lab("headers", "fixed")
    assert found.out == "X-Team: canary team\nAuthorization: Bearer sk-canary-fixed\n"
    assert "api-version" in found.err
    assert "canary-version" not in found.err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["headers", "fixed"], ["headers", "fixed", "--json"]])
def test_headers_are_masked_on_a_terminal(lab, arguments):
    """Unless --reveal says otherwise."""
    masked = lab(*arguments, tty=True)
    assert "canary" not in masked.out
    assert "Authorization" in masked.out
    assert "--reveal" in masked.err
    assert "sk-canary-fixed" in lab(*arguments, "--reveal", tty=True).out


def test_headers_as_json(lab, server):
    """Under stable keys."""
    assert json.loads(lab("headers", "--json").out) == {
        "provider": "lab",
        "base_url": server.base_url,
        "headers": {"Authorization": f"Bearer {KEY}"},
    }


def test_no_header_is_said(lab):
    """stdout stays empty."""
    found = lab("headers", "open")
    assert (found.code, found.out, found.err) == (0, "", "keyfob: a request gets no header\n")


SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.mark.slow
def test_exec_sets_the_variables(lab, server):
    """Base URL, key, and the entry's own variable; the rest is the caller's."""
    found = json.loads(lab.finished("exec", "lab", "--", sys.executable, "-c", SHOW, environ={"MINE": "1"}).out)
    assert found["OPENAI_BASE_URL"] == server.base_url
    assert (found["OPENAI_API_KEY"], found["LAB_KEY"], found["MINE"]) == (KEY, KEY, "1")


@pytest.mark.slow
def test_exec_finds_the_key_in_dotenv(lab):
    """The child gets the variable it reads, though the caller has none."""
    lab.configure("UNSET_KEY=sk-canary-dotenv\n", ".env")
    found = json.loads(lab.finished("exec", "unset", "--", sys.executable, "-c", SHOW).out)
    assert (found["OPENAI_API_KEY"], found["UNSET_KEY"]) == ("sk-canary-dotenv", "sk-canary-dotenv")


@pytest.mark.slow
def test_exec_takes_a_foreign_key_away(lab):
    """A provider without authentication is not sent OPENAI_API_KEY."""
    found = lab.finished("exec", "open", "--", sys.executable, "-c", SHOW, environ={"OPENAI_API_KEY": "foreign"})
    assert "OPENAI_API_KEY" not in json.loads(found.out)


@pytest.mark.slow
def test_exec_keeps_what_is_for_openai_alone(lab):
    """OpenAI's SDK would send these to any provider."""
    ours = {"OPENAI_ORG_ID": "org", "OPENAI_PROJECT_ID": "proj", "OPENAI_CUSTOM_HEADERS": "X-A: b"}
    found = json.loads(lab.finished("exec", "lab", "--", sys.executable, "-c", SHOW, environ=ours).out)
    assert not ours.keys() & found.keys()


def test_exec_that_fails_leaves_this_process_as_it_was(lab):
    """In a program of the user's own, a broken pipe must not become the end."""
    assert lab("exec", "lab", "--", "/no/such/command").code == 127
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


@pytest.mark.slow
def test_exec_leaves_signals_as_a_shell_would(lab):
    """Python ignores SIGPIPE; what it becomes must not."""
    found = lab.finished("exec", "lab", "--", "sh", "-c", "yes | head -n 1")
    assert (found.out, found.err) == ("y\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_stops_the_token_command_too(lab, tmp_path, number):
    """And ends by the signal, as any program."""
    slow = tmp_path / "slow"
    # It says that it runs only after keyfob has had the time to note that it does.
    slow.write_text(f"#!/bin/sh\nsleep 0.5\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    lab.configure(
        f'[model_providers.slow]\nbase_url = "https://x.example"\nauth = {{ command = "{slow}", timeout_ms = 60000 }}\n'
    )
    process = lab.script("token", "slow")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == -number
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.slow
def test_exec_says_what_variables_cannot_carry(lab):
    """Names, not values."""
    found = lab.finished("exec", "fixed", "--", "true")
    assert found.code == 0
    assert "http_headers (X-Team)" in found.err
    assert "query_params (api-version)" in found.err
    assert "canary" not in found.err


@pytest.mark.slow
def test_exec_uses_the_default_provider_and_leaves_arguments_alone(lab):
    """Everything after the first `--` is the command's."""
    show = "import os, sys; print(os.environ['OPENAI_API_KEY'], *sys.argv[1:])"
    found = lab.finished("exec", "--", sys.executable, "-c", show, "--json", "-c", "--", "--help")
    assert found.out == f"{KEY} --json -c -- --help\n"


@pytest.mark.slow
def test_exec_passes_the_exit_code_on(lab):
    """The command's own."""
    assert lab.finished("exec", "lab", "--", "sh", "-c", "exit 7").code == 7


@pytest.mark.slow
def test_exec_passes_signals_on(lab):
    """The process is the command."""
    process = lab.script("exec", "lab", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["keyfob-no-such-command"], 127, "there is no command 'keyfob-no-such-command'"),
        (["/no/such/command"], 127, "there is no command"),
        (["/etc/passwd"], 126, "'/etc/passwd' cannot be run"),
        (["/"], 126, "'/' cannot be run"),
        ([], 2, "there is no command"),
    ],
)
def test_exec_of_what_cannot_be_run(lab, command, code, said):
    """127 and 126, as in a shell, and a sentence."""
    found = lab("exec", "lab", "--", *command)
    assert (found.code, said in found.err) == (code, True)


def test_exec_without_dashes_is_a_usage_error(lab):
    """Nothing is run."""
    found = lab("exec", "lab", "true")
    assert (found.code, "keyfob exec --help" in found.err) == (2, True)


def test_where_a_process_cannot_become_another_it_waits(lab, server):
    """The way of Windows: exit code and environment of a child."""
    code = exec_command.run_as_child([sys.executable, "-c", "import os; os._exit(int(os.environ['N']))"], {"N": "5"})
    assert code == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
