"""A renewal outlives the command that wants it: killed, interrupted or left without a terminal, nothing is lost."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from tests.homes import alive

from keyfob import errors
from keyfob.cli import detached
from keyfob.cli.situation import Situation
from keyfob.errors import KeyfobError
from keyfob.testing.issuer import Issuer

from .conftest import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Keyfob

PATIENCE = 30
ENTRY = '{ base_url = "http://127.0.0.1:9/v1", requires_openai_auth = true }'


def slow(*values: object) -> list[Any]:
    """These parameters, for the long run alone."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeyfobError)]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(reuse="revoke") as running:
        yield running


@pytest.fixture
def signed(keyfob: Keyfob, issuer: Issuer) -> Keyfob:
    """keyfob with an expired login for `corp`."""
    keyfob.configure(f"[model_providers]\ncorp = {ENTRY}\n")
    keyfob.environ |= issuer.environ
    with open(f"{keyfob.home}/auth.json", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump(issuer.login(expires_in=-1), file)
    return keyfob


def tokens(keyfob: Keyfob) -> dict[str, Any]:
    with open(f"{keyfob.home}/auth.json", encoding="utf-8") as file:
        return json.load(file)["tokens"]


def child_of(keyfob: Keyfob) -> int:
    """The process that renews, by what its lock says."""
    with open(f"{keyfob.home}/auth.json.keyfob.lock", encoding="ascii") as file:
        return int(file.read().split()[1])


def meanwhile(issuer: Issuer, do: Callable[[], None], then: tuple[int, Any] | None = None) -> None:
    """Do something when the issuer has received the next request; then it answers that, or as it always does."""

    def answered(_: Issuer, fields: dict[str, Any]) -> tuple[int, Any]:
        do()
        return then or issuer.renewed(fields)

    issuer.answers.append(answered)


def void(_: object) -> None:
    """Nothing, whatever it was."""


class Command:
    """A command whose end is wanted by somebody else's thread too."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._started = threading.Event()
        self._start = start

    def run(self) -> int:
        self.process = self._start()
        self._started.set()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def send(self, number: int) -> None:
        assert self._started.wait(PATIENCE)
        self.process.send_signal(number)


class TestTheChild:
    @pytest.mark.slow
    def test_is_on_its_own(self, signed: Keyfob, issuer: Issuer) -> None:
        """It leads a session without a terminal, shares no stream with the command, and shows no secret in its argv."""
        seen: dict[str, Any] = {}

        def look() -> None:
            child = child_of(signed)
            with open(f"/proc/{child}/stat") as file:
                _, _, group, session, terminal, *_ = file.read().rpartition(") ")[2].split()
            seen["leads"] = {int(group), int(session)} == {child}
            seen["terminal"] = int(terminal)
            seen["streams"] = [os.readlink(f"/proc/{child}/fd/{number}") for number in range(3)]
            with open(f"/proc/{child}/cmdline", "rb") as file:
                seen["argv"] = file.read().decode()

        meanwhile(issuer, look)
        refresh_token = tokens(signed)["refresh_token"]
        read, write = os.pipe()
        command = signed.script("token", "corp", stdout=write, stderr=write)
        os.close(write)
        ours = os.readlink(f"/proc/self/fd/{read}")
        assert command.wait(PATIENCE) == 0
        assert os.read(read, 10_000).decode().strip() == tokens(signed)["access_token"]
        os.close(read)
        assert seen["leads"]
        assert seen["terminal"] == 0
        assert ours not in seen["streams"]
        assert seen["streams"][2] == "/dev/null"
        assert refresh_token not in seen["argv"]
        assert "-P" in seen["argv"]
        assert issuer.renewals == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGKILL, *slow(signal.SIGTERM, signal.SIGHUP, signal.SIGINT)], ids=str)
    def test_finishes_alone(self, signed: Keyfob, issuer: Issuer, number: signal.Signals) -> None:
        """When the command is killed while the issuer is asked, the next one has the answer without asking again."""
        command = Command(lambda: signed.script("token", "corp"))

        def stop() -> None:
            command.send(number)
            command.process.wait(PATIENCE)

        meanwhile(issuer, stop)
        assert command.run() == (130 if number == signal.SIGINT else -number)
        again = signed.finished("token", "corp")
        assert again.out.strip() == tokens(signed)["access_token"]
        assert issuer.renewals == 1
        assert not issuer.reused

    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["Ctrl-C", "closed"])
    def test_finishes_without_the_terminal(self, signed: Keyfob, issuer: Issuer, end: str) -> None:
        """Ctrl-C ends the command alone, with exit code 130; so does a terminal that is closed."""
        ours, theirs = pty.openpty()

        def stop() -> None:
            os.write(ours, b"\x03") if end == "Ctrl-C" else os.close(ours)
            command.process.wait(PATIENCE)

        words = ["setsid", "--ctty", "--wait", SCRIPT, "token", "corp"]  # the command has the terminal, as in a shell
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        command = Command(lambda: subprocess.Popen(words, env=signed.script_environ, **streams))
        meanwhile(issuer, stop)
        code = command.run()
        os.close(theirs)
        if end == "Ctrl-C":
            os.close(ours)
            assert code == 130
        assert signed.finished("token", "corp").out.strip() == tokens(signed)["access_token"]
        assert issuer.renewals == 1

    @pytest.mark.slow
    def test_is_not_waited_for_long_while_the_old_token_is_good(
        self, signed: Keyfob, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Codex would kill the command; the child finishes without it."""
        monkeypatch.setattr("keyfob.credentials.stored.PATIENCE", 0.01)
        with open(f"{signed.home}/auth.json", "w") as file:
            json.dump(issuer.login(expires_in=300), file)
        old, gate = tokens(signed), threading.Event()
        meanwhile(issuer, lambda: void(gate.wait(PATIENCE)))
        assert signed("token", "corp").out.strip() == old["access_token"]
        gate.set()
        deadline = time.monotonic() + PATIENCE
        while tokens(signed)["access_token"] == old["access_token"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert issuer.renewals == 1


class TestErrors:
    @pytest.mark.slow
    def test_come_back(self, signed: Keyfob, issuer: Issuer) -> None:
        """What the child could not do is told by the command as its own error, with code, hint and exit code."""
        issuer.answers.append(503)
        said = signed.finished("token", "corp", "--json")
        assert said.code == 1
        error = json.loads(said.err)["error"]
        assert error["code"] == "renewal"
        assert error["message"] == "corp: the login could not be renewed: 127.0.0.1 answered 503"
        assert error["hint"] == "try again in a moment"

    @pytest.mark.slow
    def test_of_configuration(self, signed: Keyfob, issuer: Issuer) -> None:
        """A client that the issuer does not know is a fault of the configuration here as well."""
        issuer.answers.append((401, {"error": "invalid_client"}))
        said = signed.finished("token", "corp")
        assert said.code == 2
        assert "does not know the client" in said.err

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    def test_every_kind(self, kind: type[KeyfobError]) -> None:
        """An error of any kind is the same when it has come from the child."""
        said = json.dumps({"code": kind.code, "message": "what is wrong", "hint": "what to do"}).encode()
        with pytest.raises(KeyfobError) as caught:
            detached._told(said)
        assert (type(caught.value), str(caught.value), caught.value.hint) == (kind, "what is wrong", "what to do")

    def test_an_unexpected_one(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        """Of a fault of keyfob's own, the kind is told and not its text, which could hold anything."""
        task = detached.Task("corp", "f", False, True, Situation(None, (), "/nowhere", "/nowhere", "/nowhere"))

        def fail(_: object) -> None:
            raise ZeroDivisionError("rt-canary")

        said: list[tuple[str, str, str | None]] = []
        monkeypatch.setattr(detached, "_renew", fail)
        monkeypatch.setattr(detached, "_say", lambda *words: said.append(words))
        monkeypatch.setattr(detached.json, "load", lambda _: asdict(task))
        detached.main()
        assert said == [("internal", "corp: internal error in the renewal: ZeroDivisionError", None)]
        assert capfd.readouterr() == ("", "")

    @pytest.mark.slow
    def test_a_child_that_dies(self, signed: Keyfob, issuer: Issuer) -> None:
        """A child that is killed is told of, and the next command presents the secret once more."""
        meanwhile(issuer, lambda: os.kill(child_of(signed), signal.SIGKILL), then=(500, {}))
        said = signed.finished("token", "corp")
        assert said.code == 1
        assert "the process that renews the login ended with -9" in said.err
        assert signed.finished("token", "corp").out.strip() == tokens(signed)["access_token"]
        assert len(issuer.presented) == 2

    def test_no_interpreter(self, signed: Keyfob, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interpreter that is not there any more is named as the reason."""
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        said = signed("token", "corp")
        assert said.code == 1
        assert "corp: the renewal cannot be started: No such file or directory" in said.err

    @pytest.mark.slow
    def test_a_command_that_was_gone_at_once(self) -> None:
        """A child that was told nothing does nothing, and says nothing."""
        command = [sys.executable, "-P", "-m", "keyfob.cli.detached"]
        for told in (b"", b'{"provider": "co'):
            ended = subprocess.run(command, input=told, capture_output=True, timeout=PATIENCE)
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


class TestTheSame:
    @pytest.mark.slow
    def test_options(self, signed: Keyfob, issuer: Issuer) -> None:
        """An entry that only `-c` or a profile has is renewed too."""
        signed.configure(f"[model_providers]\nof_profile = {ENTRY}\n", "work.config.toml")
        said = signed.finished("-c", f"model_providers.of_option={ENTRY}", "token", "of_option")
        assert said.out.strip() == tokens(signed)["access_token"], said.err
        with open(f"{signed.home}/auth.json", "w") as file:
            json.dump(issuer.login(expires_in=-1), file)
        said = signed.finished("-p", "work", "token", "of_profile")
        assert said.out.strip() == tokens(signed)["access_token"], said.err
        assert issuer.renewals == 2

    @pytest.mark.slow
    def test_environment(self, signed: Keyfob, issuer: Issuer) -> None:
        """The child has the environment that the command was given, which need not be this process's."""
        assert not set(issuer.environ) & set(os.environ)
        assert signed("token", "corp").out.strip() == tokens(signed)["access_token"]

    @pytest.mark.slow
    def test_from_a_folder_that_was_deleted(self, signed: Keyfob, tmp_path: Path) -> None:
        """The current folder need not be there any more."""
        gone = tmp_path / "gone"
        gone.mkdir()
        words = f"cd {gone} && rmdir {gone} && exec {SCRIPT} token corp"
        said = subprocess.run(["sh", "-c", words], env=signed.script_environ, capture_output=True, timeout=PATIENCE)
        assert said.stdout.decode().strip() == tokens(signed)["access_token"], said.stderr

    @pytest.mark.slow
    def test_nothing_is_imported_from_the_current_folder(self, signed: Keyfob, tmp_path: Path) -> None:
        """Modules that happen to lie where the command is run are not the child's."""
        here = tmp_path / "here"
        here.mkdir()
        for name in ("keyfob", "json", "httpx"):
            (here / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
        assert signed.finished("token", "corp", cwd=here).code == 0
        assert not (tmp_path / "imported").exists()

    @pytest.mark.slow
    def test_an_isolated_interpreter(self, signed: Keyfob, tmp_path: Path) -> None:
        """What the command's interpreter was told not to look at, the child's does not either."""
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "json.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
        environ = {**signed.script_environ, "PYTHONPATH": str(tmp_path / "path")}
        command = [sys.executable, "-I", "-m", "keyfob", "token", "corp"]
        said = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE)
        assert said.stdout.decode().strip() == tokens(signed)["access_token"], said.stderr
        assert not (tmp_path / "imported").exists()

    @pytest.mark.parametrize(("name", "value"), [("executable", ""), ("frozen", True)])
    def test_an_interpreter_that_cannot_be_started_again(
        self, signed: Keyfob, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, name: str, value: object
    ) -> None:
        """Embedded or frozen, keyfob renews in a thread of its own process."""
        monkeypatch.setattr(sys, name, value, raising=False)
        assert signed("token", "corp").out.strip() == tokens(signed)["access_token"]
        assert issuer.renewals == 1
        assert child_of(signed) == os.getpid()


@pytest.mark.slow
def test_two_commands_at_once(signed: Keyfob, issuer: Issuer) -> None:
    """Commands that need the same renewal have it from one call."""
    issuer.delay = 0.1
    running = [signed.script("token", "corp") for _ in range(4)]
    said = [process.communicate(timeout=PATIENCE)[0].decode().strip() for process in running]
    assert said == [tokens(signed)["access_token"]] * 4
    assert issuer.renewals == len(issuer.presented) == 1
    assert not alive(child_of(signed))
