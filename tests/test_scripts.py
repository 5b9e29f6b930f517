"""The scripts that people run, and what tests/conftest.py promises of every test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import anyio
import pytest
from pytest_socket import SocketConnectBlockedError

ROOT = Path(__file__).parent.parent
ELSEWHERE = ("192.0.2.1", 9)  # an address for documentation (RFC 5737): nobody has it
BLOCKED = (SocketConnectBlockedError, UserWarning)  # it warns first, and here a warning is an error


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with some more variables."""
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=120)


def bash(text: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of bash that has what scripts/_python defines."""
    return run("bash", "-euo", "pipefail", "-c", f'source "{ROOT}/scripts/_python"; {text}', **environ)


def write(path: Path, text: str) -> Path:
    """Write a file, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def program(folder: Path, name: str, text: str) -> Path:
    """Write a shell script that can be run."""
    path = write(folder / name, f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What scripts/demo.py prints, where nothing is a terminal."""
    folder = tmp_path_factory.mktemp("demo")
    done = run(sys.executable, str(ROOT / "scripts/demo.py"), TMPDIR=str(folder), COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == [], "it leaves something behind"
    return done.stdout


@pytest.mark.slow  # CI runs the demo by itself too
class TestDemo:
    """scripts/demo.py, which a newcomer sees first."""

    @pytest.mark.parametrize("provider", ["lab", "local", "written", "corp", "team", "shared", "chatgpt"])
    def test_an_answer_comes_through_each_provider(self, shown: str, provider: str) -> None:
        """Once as it arrives, and once in the table."""
        rows = [line for line in shown.splitlines() if line.startswith(f"{provider} ")]
        assert [row.endswith("Hello from the model.") for row in rows] == [True, True]

    @pytest.mark.parametrize(("provider", "reason"), [("signed", "no installed plugin")])
    def test_nothing_is_sent_where_no_credential_can_be_had(self, shown: str, provider: str, reason: str) -> None:
        """The error is shown, and the server saw nothing."""
        said, row = (line for line in shown.splitlines() if line.startswith(f"{provider} "))
        assert reason in shown[shown.index(said) :]
        assert row.endswith("nothing was sent")

    def test_no_secret_is_shown(self, shown: str) -> None:
        """Not even those of the demo."""
        for secret in ("lab-key", "written-token", "corp-token", "team-key", "shared-key"):
            assert secret not in shown

    def test_it_fits_in_a_hundred_columns_without_colours(self, shown: str) -> None:
        """For a terminal of that width, and for what is no terminal."""
        lines = [line for line in shown.splitlines() if "keyfob-demo-" not in line]  # a temporary folder may be long
        assert max(map(len, lines)) <= 100
        assert "\033" not in shown


class TestPython:
    """scripts/_python: which interpreter is taken."""

    @pytest.mark.slow
    def test_a_command_that_does_not_run_is_passed_over(self, tmp_path: Path) -> None:
        """As pyenv's are for versions that are not there; the next that runs is taken."""
        program(tmp_path, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
        program(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
        done = bash("find_pythons", PATH=f"{tmp_path}:/usr/bin:/bin")
        assert done.stdout.splitlines()[0] == f"3.{sys.version_info.minor} {sys.executable}"

    def test_one_that_is_too_old_is_passed_over(self, tmp_path: Path) -> None:
        """And where there is no other, that is said with what to install."""
        for name in ("awk", "head", "bash"):
            os.symlink(shutil.which(name) or "", tmp_path / name)
        program(tmp_path, "python3", "exit 1")
        done = bash("find_python", PATH=str(tmp_path))
        assert done.returncode == 1
        assert "needs Python 3.11 or later" in done.stderr
        assert "apt-get install" in done.stderr

    def test_a_chosen_interpreter_that_is_not_there_is_an_error(self) -> None:
        """No other is taken in its place."""
        done = bash("venv_of; install", KEYFOB_PYTHON="python3.99")
        assert done.returncode == 1
        assert "python3.99" in done.stderr

    def test_a_chosen_interpreter_has_its_own_environment(self) -> None:
        """So that several can be tested side by side."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        assert bash("venv_of", KEYFOB_PYTHON=sys.executable).stdout == f".venvs/py{version}\n"
        assert bash("venv_of", KEYFOB_PYTHON="").stdout == ".venv\n"


class TestEveryTest:
    """What tests/conftest.py does for each test."""

    def test_no_connection_leaves_the_machine(self) -> None:
        """Of a plain socket."""
        with pytest.raises(BLOCKED):
            socket.create_connection(ELSEWHERE, timeout=1)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_no_connection_of_an_event_loop_leaves_the_machine(self, backend: str) -> None:
        """Of asyncio and trio."""

        async def connect() -> None:
            with anyio.fail_after(5):
                await anyio.connect_tcp(*ELSEWHERE)

        with pytest.raises(ExceptionGroup) as caught:
            anyio.run(connect, backend=backend)
        assert caught.group_contains(BLOCKED)

    def test_there_is_no_home(self) -> None:
        """Neither for a test nor for what it starts."""
        assert not os.path.exists(os.path.expanduser("~"))
        assert not os.path.exists(run("sh", "-c", 'printf %s "$HOME"').stdout)

    @pytest.mark.slow
    def test_the_callers_settings_are_left_out(self, tmp_path: Path) -> None:
        """They would decide what the tests see."""
        names = ["CODEX_HOME", "HTTPS_PROXY", "KEYFOB_ASKING", "OPENAI_API_KEY"]
        write(tmp_path / "test_it.py", f"import os\ndef test_it(): assert not set(os.environ) & set({names})")
        assert pytest_in(tmp_path, **dict.fromkeys(names, "something")).returncode == 0

    @pytest.mark.slow
    def test_a_skip_fails_where_nothing_may_be_left_out(self, tmp_path: Path) -> None:
        """However it was skipped, with the reason; an expected failure, which pytest counts as a skip, does not."""
        write(tmp_path / "test_mark.py", "import pytest\n@pytest.mark.skip(reason='get one')\ndef test_it(): pass")
        write(tmp_path / "test_call.py", "import pytest\ndef test_it(): pytest.skip('get two')")
        write(tmp_path / "test_file.py", "import pytest\npytest.skip('get three', allow_module_level=True)")
        write(tmp_path / "test_fail.py", "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False")
        whole = pytest_in(tmp_path, "--continue-on-collection-errors", KEYFOB_E2E="all")
        assert whole.returncode == 1
        assert "1 failed, 1 xfailed, 2 errors" in whole.stdout
        assert all(f"get {number}" in whole.stdout for number in ("one", "two", "three"))

    @pytest.mark.slow
    def test_elsewhere_a_skip_is_only_named(self, tmp_path: Path) -> None:
        """With what to install."""
        write(tmp_path / "test_it.py", "import pytest\ndef test_it(): pytest.skip('get one')")
        part = pytest_in(tmp_path, KEYFOB_E2E="")
        assert (part.returncode, "get one" in part.stdout) == (0, True)


def pytest_in(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder under our conftest.py."""
    shutil.copy(ROOT / "tests/conftest.py", folder)
    write(folder / "pytest.ini", "[pytest]\naddopts = -ra -p no:cacheprovider\n")
    return run(sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", str(folder), *arguments, **environ)


class TestMutate:
    """scripts/mutate, and its table."""

    def test_each_fault_still_fits_the_code(self) -> None:
        """Its old text stands where it says, once, and its tests are there."""
        faults = tomllib.loads((ROOT / "scripts/faults.toml").read_text(encoding="utf-8"))["fault"]
        astray = [fault["why"] for fault in faults if (ROOT / fault["file"]).read_text().count(fault["old"]) != 1]
        missing = {test for fault in faults for test in fault["tests"] if not (ROOT / test.partition("::")[0]).exists()}
        assert (astray, missing) == ([], set())

    @pytest.mark.slow
    @pytest.mark.parametrize(("test", "status", "verdict"), [
        ("assert one() == 1", 0, "found "),
        ("assert one()", 1, "MISSED "),
        ("assert one() == 3", 1, "fail without any fault"),
    ])  # fmt: skip
    def test_a_fault_that_no_test_finds_is_an_error(self, tmp_path: Path, test: str, status: int, verdict: str) -> None:
        """And so are tests that fail without one, for they would find everything."""
        shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
        write(tmp_path / "core/numbers_.py", "def one(): return 1\n")
        write(tmp_path / "plugins/.keep", "")
        write(tmp_path / "pyproject.toml", "[tool.pytest.ini_options]\nmarkers = ['e2e', 'slow']\n")
        write(tmp_path / "tests/test_one.py", f"from numbers_ import one\ndef test_one(): {test}\n")
        fault = "why='two'\nfile='core/numbers_.py'\nold='return 1'\nnew='return 2'\ntests=['tests']"
        write(tmp_path / "scripts/faults.toml", f"[[fault]]\n{fault}\n")
        done = run(sys.executable, str(tmp_path / "scripts/mutate.py"))
        assert (done.returncode, verdict in done.stdout) == (status, True)
