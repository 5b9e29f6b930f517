"""`import keyfob`: cheap, true to what it exports, and understood by type checkers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import keyfob
import keyfob.plugin


def printed(program):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_importing_keyfob_loads_keyfob_alone():
    """Each name brings its module when it is first used."""
    program = "import sys; before = set(sys.modules); import keyfob; print(*set(sys.modules) - before)"
    assert printed(program) == ["keyfob"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "absent"),
    [("KeyfobError", "pydantic"), ("Credential", "pydantic"), ("Host", "httpx"), ("provider", "httpx2")],
)
def test_a_name_loads_what_it_needs(name, absent):
    """An error class does not bring the models, nor a host an HTTP library."""
    assert absent not in printed(f"import sys, keyfob; keyfob.{name}; print(*sys.modules)")


@pytest.mark.parametrize("module", [keyfob, keyfob.plugin])
def test_what_is_exported_is_there(module):
    """Each name of `__all__`, once, and `dir` shows it."""
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


def test_what_is_public_is_exported():
    """Nothing is offered by accident: what a name of the package is, is in `__all__`, or a module of its own."""
    program = "import keyfob; print(*(n for n in dir(keyfob) if not n.startswith('_')))"
    assert set(printed(program)) - {"TYPE_CHECKING", "annotations"} == set(keyfob._MODULES)
    assert {*keyfob.__all__, "httpx2"} == set(keyfob._MODULES)  # an extra: `import *` must do without


def test_a_misspelt_name_is_an_attribute_error():
    """As of any module, so that `hasattr` and `from keyfob import` work."""
    with pytest.raises(AttributeError, match="module 'keyfob' has no attribute 'Hots'"):
        _ = keyfob.Hots
    assert not hasattr(keyfob, "no_such_name")
    with pytest.raises(ImportError):
        exec("from keyfob import Hots")


def test_a_name_is_the_same_each_time():
    """The first use keeps it."""
    assert keyfob.Host is keyfob.Host
    assert "Host" in vars(keyfob)
    assert keyfob.httpx.__name__ == "keyfob.httpx"


TYPED = """
import keyfob
from keyfob.plugin import Context, Credential, MintingAuth, ProviderInfo, StaticAuth, hookimpl
from pydantic import BaseModel
from collections.abc import Mapping, Sequence
from keyfob.plugin import AuthPlugin
from typing import Any

class Options(BaseModel):
    key_env: str

class Portkey(StaticAuth[Options]):
    key = "portkey"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        return {"x-portkey-api-key": context.environ[options.key_env]}

class Minted(MintingAuth[Options]):
    key = "minted"

    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        return Credential.bearer(options.key_env, expires_at=context.clock() + 60)

@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    return [Portkey(), Minted()]

plugin: AuthPlugin[Options] = Portkey()
host: keyfob.Host = keyfob.Host({})
headers: keyfob.SecretHeaders = keyfob.provider("corp", host=host).headers()
value: str = headers["authorization"]
with keyfob.httpx.Client("corp") as client:
    reveal_type(client)
try:
    keyfob.provider().credential()
except keyfob.CredentialError as error:
    hint: str | None = error.hint
"""
WRONG = """
import keyfob
keyfob.Hots
keyfob.provider("corp").token
keyfob.provider(5)
class Bad:
    key = "bad"
"""


@pytest.mark.slow
def test_type_checkers_see_the_lazy_names(tmp_path):
    """What is right passes mypy --strict; a misspelt name stays an error."""
    for name, text, errors in (("typed", TYPED, []), ("wrong", WRONG, ["Hots", '"token"', "arg-type"])):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file=", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
        found = [line for line in done.stdout.splitlines() if ": error: " in line]
        assert len(found) == len(errors), done.stdout + done.stderr
        for line, expected in zip(found, errors, strict=True):
            assert expected in line
        assert name == "wrong" or 'Revealed type is "keyfob.httpx.Client"' in done.stdout
