"""The examples: each passes its own tests and `mypy --strict`, and is short enough to be read at one go."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from . import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = sorted(project.parent for project in ROOT.glob("examples/*/pyproject.toml"))
LINES: Final = 150
"""A module has fewer."""

NO_NETWORK: Final = ("--allow-hosts=127.0.0.1,::1,localhost",)  # pytest-socket's
AT_ONCE: Final = 2  # processes: much of each is waiting, and other tests run beside it

of_each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of the environment that has the examples."""
    if reason := parts.missing("examples"):
        pytest.skip(reason)
    return parts.path("examples")


@pytest.fixture(scope="module")
def outcomes(
    python: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Path, Future[tuple[int, str]]]]:
    """Each example whose tests are to be run → what pytest ended with, and printed."""
    environ = _environ(tmp_path_factory)
    wanted = [item.callspec.params["example"] for item in request.session.items if _runs_tests(item)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {example: pool.submit(_tested, python, example, environ) for example in wanted}


def _runs_tests(item: pytest.Item) -> bool:
    return getattr(item, "originalname", None) == test_it_passes_its_own_tests.__name__


def _environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Nothing of whoever runs the tests, and where LiteLLM's proxy is."""
    environ = parts.offline_environ(str(tmp_path_factory.mktemp("home")))
    if not parts.missing("litellm"):
        environ["LITELLM_COMMAND"] = parts.path("litellm")
    return environ


def _tested(python: str, example: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """As its author runs them: in its own folder, and with its own settings, not with keyfob's."""
    arguments = ("-c", "pyproject.toml", "-W", "error", "-p", "no:cacheprovider", "-ra", *NO_NETWORK)
    return _run(example, environ, python, "-m", "pytest", *arguments)


def _run(folder: Path, environ: Mapping[str, str], *command: str) -> tuple[int, str]:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return ended.returncode, ended.stdout


def _project(example: Path) -> Mapping[str, Any]:
    project: Mapping[str, Any] = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def _modules(example: Path) -> list[Path]:
    return sorted(example.glob("*.py"))


def test_there_are_examples():
    """Or the tests below would pass for want of them."""
    assert EXAMPLES


@of_each_example
def test_it_passes_its_own_tests(outcomes, example):
    """With warnings as errors, and no network but loopback. What skips itself there is skipped here, but not the rules
    of the kit that are about other plugins.
    """
    code, printed = outcomes[example].result()
    assert code == 0, printed
    assert re.search(r"\b\d+ passed", printed), printed
    if skipped := re.findall(r"^SKIPPED \[\d+\] tests/.*", printed, re.MULTILINE):
        pytest.skip("\n".join(skipped))


def test_they_pass_mypys_strict_checks(python, tmp_path):
    """All in one run: what they share is looked at once."""
    modules = [str(module.relative_to(ROOT)) for example in EXAMPLES for module in _modules(example)]
    cache = ROOT / ".mypy_cache" / "examples"
    arguments = ("--strict", "--config-file", os.devnull, "--cache-dir", str(cache), "--no-error-summary")
    code, printed = _run(ROOT, parts.offline_environ(str(tmp_path)), python, "-m", "mypy", *arguments, *modules)
    assert code == 0, printed


@of_each_example
def test_its_module_is_short(example):
    """One module, of fewer than 150 lines, and it is what the entry points name."""
    (module,) = _modules(example)
    assert len(module.read_text("utf-8").splitlines()) < LINES
    groups = _project(example)["entry-points"].values()
    assert {name for group in groups for name in group.values()} == {module.stem}


@of_each_example
def test_it_says_what_it_does_and_proves_it(example):
    """It has a README and tests; where it authenticates, also those of the contract kit."""
    assert len((example / "README.md").read_text("utf-8").splitlines()) > 10
    tests = {test.name for test in example.glob("tests/test_*.py")}
    assert tests - {"test_contract.py"}
    kit = "keyfob.auth" in _project(example)["entry-points"]
    assert not kit or "keyfob.testing.contract" in (example / "tests/test_contract.py").read_text("utf-8")
