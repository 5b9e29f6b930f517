"""Completion: commands, options, values and ids, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from keyfob.cli.commands import COMMANDS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(keyfob, shell):
    """It names every command, and asks for the ids when they are needed."""
    said = keyfob("completion", shell).out
    assert all(word in said for name in COMMANDS for word in name.split())
    assert "keyfob completion --ids 2>/dev/null" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_read_its_script(keyfob, shell):
    """A shell that is installed finds no fault in it."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    script = keyfob("completion", shell).out
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_shell_it_says_which_there_are(keyfob):
    """A usage error."""
    found = keyfob("completion")
    assert (found.code, "bash | zsh | fish" in found.err) == (2, True)


def test_ids_are_one_a_line(keyfob):
    """All there are; one that no shell could take is left out."""
    keyfob.configure('[model_providers."my lab"]\n[model_providers."a\\nb"]\n[model_providers."🚀"]\n')
    assert keyfob("completion", "--ids").out.splitlines()[:2] == ["my lab", "🚀"]


def test_ids_come_from_the_snapshot(lab, monkeypatch):
    """Where it holds, there is no host; what is said on the command line is not in it."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    assert lab("token").code == 0
    monkeypatch.setattr("keyfob.host.Host", None)
    found = lab("completion", "--ids")
    assert {"lab", "unset", "open", "openai"} <= set(found.out.splitlines())
    monkeypatch.undo()
    assert "new" in lab("completion", "--ids", "-c", "model_providers.new.base_url='https://x.example'").out


OFFERED = {
    "keyfob to": {"token"},
    "keyfob -c a=b exp": {"explain"},
    "keyfob token --form": {"--format"},
    "keyfob token --format exec": {"exec-credential"},
    "keyfob token la": {"lab"},
    "keyfob explain op": {"open", "openai"},
    "keyfob request --provider fix": {"fixed"},
    "keyfob check lab op": {"open", "openai"},
    "keyfob completion z": {"zsh"},
    "keyfob config s": {"schema"},
    "keyfob config --": {"--help", "--json", "--config", "--profile"},
    "keyfob exec lab -- la": {""},
    "keyfob login ex": {"export"},
    "keyfob login export --m": {"--move"},
    "keyfob login export la": {"lab"},
    "keyfob login export lab -- la": {""},
    "keyfob login import --rep": {"--replace"},
    "keyfob plug": {"plugin", "plugins"},
    "keyfob plugin n": {"new"},
    "keyfob plugin new acme --kind s": {"static", "signing"},
    "keyfob install cl": {"claude-code"},
    "keyfob install --yes codex la": {"lab"},
    "keyfob store move k": {"keyring"},
    "keyfob token my": {r"my\ lab"},
}
# A shell of its own sources the script, completes each line and prints what it would offer.
BASH = """
source /dev/stdin <<< "$SCRIPT"
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyfob; printf '%s\\t' "${COMPREPLY[@]}"; echo; }
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: apt-get install bash")
def test_bash_completes(lab):
    """Commands, options, values and ids; an id with a blank is one word, and what comes after `--` is not ours."""
    lab.configure('[model_providers."my lab"]\nbase_url = "https://x.example"\n', "keyfob.toml")
    environ = lab.script_environ | {
        "SCRIPT": lab("completion", "bash").out,
        "PATH": os.path.dirname(lab.script_path) + os.pathsep + os.defpath,
    }
    script = BASH + "".join(f"complete_line {line}\n" for line in OFFERED)
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60)
    offered = [set(line.removesuffix("\t").split("\t")) for line in done.stdout.splitlines()]
    assert dict(zip(OFFERED, offered, strict=True)) == OFFERED
