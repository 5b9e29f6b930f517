"""The OpenAI SDK 2.x, on httpx and without httpx2: the tests of tests/integrations/test_openai.py, in its own venv."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = "tests/integrations/test_openai.py"


@pytest.fixture
def ask(openai2_python: str):
    """Runs Python there, in the repository's root; what it printed, or the test fails with that."""

    def ask(*arguments: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        ended = subprocess.run(
            [openai2_python, *arguments],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    return ask


def test_the_sdk_2_passes_the_tests_of_the_integration(ask):
    """Every one of them, none left out."""
    printed = ask("-m", "pytest", "-p", "no:cacheprovider", "-q", TESTS)
    assert re.search(r"^\d+ passed in ", printed, re.MULTILINE), printed


def test_it_is_the_sdk_2_on_httpx_alone(ask):
    """Or the test above would prove what the unit tests prove."""
    program = (
        "import sys, openai, keyfob.integrations.openai as integration\n"
        "print(openai.__version__, 'httpx' in sys.modules, 'httpx2' in sys.modules, integration.OpenAI.__mro__[1])"
    )
    assert re.fullmatch(r"2\.\d+\.\d+ True False <class 'openai\.OpenAI'>\n", ask("-c", program))
