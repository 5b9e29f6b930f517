"""The frame: what is said where, exit codes, and that nobody is shown a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from keyfob.cli import headers, providers
from keyfob.cli.commands import COMMANDS, command_named, parsed
from keyfob.errors import UsageError

LISTED = list(COMMANDS)


@pytest.mark.parametrize("name", LISTED)
def test_every_command_is_there(name):
    """Its module has what a command has."""
    command = command_named(name)
    assert callable(command.arguments)
    assert callable(command.run)


@pytest.mark.parametrize("name", LISTED)
def test_every_command_has_help(keyfob, name, capsys):
    """On stdout, with exit code 0."""
    assert keyfob(name, "--help").code == 0
    assert f"usage: keyfob {name}" in capsys.readouterr().out


def test_help_lists_the_commands(keyfob, capsys):
    """With what each does."""
    assert keyfob("--help").code == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and words in said for name, words in COMMANDS.items())


def test_no_command_is_a_usage_error_with_help(keyfob, capsys):
    """On stderr, so that a script that reads stdout gets nothing."""
    assert keyfob().code == 2
    captured = capsys.readouterr()
    assert "commands:" in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tokn"], "did you mean `token`?"),
        (["token", "--formt", "x"], "keyfob token --help"),
        (["token", "--format", "x"], "invalid choice: 'x'"),
        (["token", "a", "b"], "unrecognized arguments: b"),
        (["-c"], "expected one argument"),
        (["explain", "nope"], "there is no provider 'nope'"),
        (["-c", "model_providers=1", "providers"], "expected a table"),
    ],
)
def test_a_usage_error_says_what_to_do(keyfob, arguments, said):
    """Exit code 2, nothing on stdout, a sentence on stderr."""
    found = keyfob(*arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_general_options_stand_before_or_after_the_command(lab):
    """`-c` and `-p`, and `-c` in both places."""
    lab.configure("", "other.config.toml")
    for arguments in (
        ["-c", "model_provider='open'", "explain", "--json"],
        ["explain", "--json", "-c", "model_provider='open'"],
        ["-p", "other", "-c", "model_provider='lab'", "explain", "-c", "model_provider='open'", "--json"],
        ["explain", "-p", "other", "--json", "--config", "model_provider='open'"],
    ):
        assert json.loads(lab(*arguments).out)["provider"] == "open"


def test_a_profile_that_is_not_there_is_said(lab):
    """From before and from after the command."""
    for arguments in (["-p", "none", "providers"], ["providers", "-p", "none"]):
        found = lab(*arguments)
        assert (found.code, "profile 'none'" in found.err) == (2, True)


def test_an_id_may_look_like_an_option(keyfob):
    """After `--`, as everywhere."""
    keyfob.configure('[model_providers."-x"]\nbase_url = "https://x.example"\nexperimental_bearer_token = "t"\n')
    assert keyfob("token", "--", "-x").out == "t\n"


def test_errors_are_json_where_json_was_asked_for(lab):
    """One line on stderr, for errors of usage too; warnings the same."""
    for arguments in (["token", "unset", "--json"], ["explain", "nope", "--json"], ["providers", "--json", "--wrong"]):
        error = json.loads(lab(*arguments).err)["error"]
        assert set(error) == {"code", "message", "hint"}
    lab.configure('[model_providers.x]\nbase_url = "https://x.example"\nenv_kye = "A"\n')
    assert "did you mean `env_key`" in json.loads(lab("explain", "x", "--json").err)["warning"]["message"]


def test_an_error_of_several_lines_stays_one_error(keyfob):
    """Each line begins below the first."""
    keyfob.configure("[model_providers.x]\nenv_key = 1\n[model_providers.y]\nenv_key = 1\n")
    first, second, *_ = keyfob("token", "x").err.splitlines()
    assert first.startswith("keyfob: ")
    assert second.startswith("        ")


def test_control_characters_never_reach_stderr(keyfob):
    """Not from an argument, nor from a file."""
    keyfob.configure('[model_providers."a\\u001b[31m"]\nenv_key = 1\n')
    for name in ("\x1b[31mx", "a\x1b[31m"):
        found = keyfob("token", name)
        assert found.code == 2
        assert "\x1b" not in found.err


class Broken(Exception):
    """Something that nobody expected."""


def broken(*_):
    raise Broken("sk-canary")


def test_an_unexpected_error_is_one_line(keyfob, monkeypatch):
    """Its text could hold anything, so its kind alone is said; KEYFOB_TRACE shows the rest."""
    monkeypatch.setattr(providers, "run", broken)
    found = keyfob("providers")
    assert (found.code, found.err) == (1, "keyfob: internal error: Broken\n  → KEYFOB_TRACE=1 shows where\n")
    assert "Traceback" in keyfob("providers", KEYFOB_TRACE="1").err


def test_what_ends_the_interpreter_ends_not_the_sentence(keyfob, monkeypatch):
    """sys.exit(0) in a plugin is no success."""
    monkeypatch.setattr(providers, "run", lambda *_: sys.exit(0))
    found = keyfob("providers")
    assert (found.code, "internal error: SystemExit" in found.err) == (1, True)


def test_ctrl_c_is_130(keyfob, monkeypatch):
    """And no word of it."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(headers, "run", interrupted)
    found = keyfob("headers")
    assert (found.code, found.out, found.err) == (130, "", "")


def test_what_a_plugin_prints_is_not_data(lab, monkeypatch):
    """stdout is keyfob's; a print anywhere goes to stderr."""
    from keyfob_envkey import Keys

    read = Keys.environment_secret

    def chatty(self):
        print("loading…")
        return read(self)

    monkeypatch.setattr(Keys, "environment_secret", chatty)
    found = lab("token")
    assert found.out == "sk-canary-lab\n"
    assert "loading…" in found.err


def test_after_an_answer_nothing_is_said_of_other_providers(keyfob):
    """The snapshot looks at all of them; what it finds is told to who asks for them."""
    keyfob.configure("""
[model_providers.x]
base_url = "https://x.example"
experimental_bearer_token = "t"
[model_providers.y]
base_url = "https://y.example"
env_kye = "A"
""")
    assert keyfob("token", "x").err == ""
    assert "env_kye" in keyfob("explain", "y").err


LIBRARIES = {"httpx", "anyio", "asyncio"}
HEAVY = LIBRARIES | {"pydantic", "pluggy", "tomli"}
HELP = [["--help"], ["--version"], *([name, "--help"] for name in LISTED)]
SHELLS = [["completion", shell] for shell in ("bash", "zsh", "fish")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runs", "unwanted"),
    [
        ([*HELP, *SHELLS], HEAVY),
        ([["plugins"]], LIBRARIES | {"keyfob_envkey", "keyfob_command"}),
        ([["providers"], ["explain", "lab"], ["token", "fixed", "--format", "json"]], LIBRARIES),
    ],
)
def test_nothing_is_imported_that_is_not_used(lab, runs, unwanted):
    """The time of a start is that of its imports."""
    code = f"import sys; from keyfob.cli.run import run; [run(one) for one in {runs}]"
    code += "; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=lab.script_environ, capture_output=True, text=True, timeout=60
    )
    loaded = set(done.stderr.split())
    assert "keyfob.cli.run" in loaded
    assert not unwanted & loaded


def test_parsing_raises_what_can_be_said():
    """Not argparse's own exit."""
    with pytest.raises(UsageError, match="there is no command"):
        parsed(["nope"])
