"""How long until a host answers for one provider, with 100 plugins installed, each time in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tempfile
import time
import venv
from typing import TYPE_CHECKING

import measuring
from homes import Home, make_home
from measuring import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLUGINS = 100
PLUGIN = f"made_up_{PLUGINS - 1}"
_SETTLING_S = 2.5
_GOALS = {("warm", 10): 1.0, ("warm", 1_000): 3.0, ("cold", 10): 15.0, ("cold", 1_000): 60.0}

# Each prints what it found, and the milliseconds that it took, a blank between them.
_CLOCK = """
import time
{before}
start = time.perf_counter()
{timed}
print(found, (time.perf_counter() - start) * 1000)
"""

_WARM = ("from keyfob import Host", "found = Host().provider('lab').plugin")
_COLD = ("from keyfob import Host", "found = Host().provider('lab').route.plugin")
_WARM_WITH_IMPORT = ("", "\n".join(_WARM))

_READ_CONFIG = """
with open(os.path.join(os.environ["CODEX_HOME"], "config.toml"), "rb") as file:
    providers = tomllib.load(file)["model_providers"]
"""
_PLUGGY = (
    "import os, tomllib, pluggy, keyfob.plugin",  # the plugins' own imports are not pluggy's doing
    f"""{_READ_CONFIG}
plugins = pluggy.PluginManager("keyfob")
plugins.load_setuptools_entrypoints("keyfob.auth")
found = next(key for key in providers["lab"] if plugins.has_plugin(key))
""",
)
_METADATA = (
    "import importlib.metadata, os, tomllib",
    f"""{_READ_CONFIG}
names = importlib.metadata.entry_points(group="keyfob.auth").names
found = next(key for key in providers["lab"] if key in names)
""",
)
_REMEMBER = "from keyfob import Host; assert Host().remember(), 'no snapshot was written'"

# A made-up plugin; as with real ones, importing it costs more than its few lines: it builds the model of its options.
_MODULE = """
from collections.abc import Mapping

from pydantic import BaseModel

from keyfob.plugin import Context, StaticAuth, hookimpl


class Options(BaseModel):
    key_env: str


class Auth(StaticAuth[Options]):
    key = "{key}"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        return {{"X-Key": context.environ[options.key_env]}}


@hookimpl
def keyfob_auth_plugins():
    return [Auth()]
"""


def measure(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(os.path.join(folder, "environment"))
        homes = {count: _home(folder, count) for count in (10, 1_000, 10_000)}
        time.sleep(_SETTLING_S)  # a snapshot is not written while what it is made of is younger than 2 s
        for count, home in homes.items():
            _run(python, _REMEMBER, home)
            taken = measuring.interleaved(_variants(python, home), rounds)
            yield from _rows(count, taken)


def _home(folder: str, count: int) -> Home:
    """`lab` is the last of so many providers, and goes to the last plugin."""
    return make_home(os.path.join(folder, f"home-{count}"), count, f'{PLUGIN} = {{ key_env = "LAB_KEY" }}')


def _variants(python: str, home: Home) -> dict[str, Callable[[], float]]:
    codes = {
        "keyfob, warm": _WARM,
        "keyfob, cold": _COLD,
        "keyfob, warm, `from keyfob import Host` included": _WARM_WITH_IMPORT,
        "importlib.metadata.entry_points, tomllib": _METADATA,
        "pluggy.load_setuptools_entrypoints, tomllib": _PLUGGY,
    }
    return {name: _variant(name, python, code, home) for name, code in codes.items()}


def _variant(name: str, python: str, code: tuple[str, str], home: Home) -> Callable[[], float]:
    before, timed = code
    text = _CLOCK.format(before=before, timed=timed)

    def run() -> float:
        found, took = _run(python, text, home).split()
        measuring.expect(f"plugin found by {name}", found, PLUGIN)
        return float(took)

    return run


def _rows(count: int, taken: dict[str, list[float]]) -> Iterator[Row]:
    work = f"host ready, {PLUGINS} plugins, {count:,} providers"
    base = taken["pluggy.load_setuptools_entrypoints, tomllib"]
    for name, figures in taken.items():
        limit = _GOALS.get((name.removeprefix("keyfob, "), count))
        median = measuring.spread(figures)[1]
        goal = "" if limit is None else measuring.goal(median, limit, " ms")
        alike = figures is not base and "included" not in name
        beside = f"{measuring.ratio(figures, base):.3f} x pluggy" if alike else ""
        yield Row(work, name, figures, "ms", beside, goal)


def make_environment(folder: str, plugins: int = PLUGINS, module: str = _MODULE) -> str:
    """An environment with all that is installed here and so many made-up plugins besides; returns its Python.

    module: the code of each; `{key}` stands for its key.
    """
    venv.create(folder, symlinks=True)
    scheme = {"base": folder, "platbase": folder}
    site = sysconfig.get_path("purelib", scheme="venv", vars=scheme)
    here = sysconfig.get_path("purelib")
    for name in os.listdir(here):
        os.symlink(os.path.join(here, name), os.path.join(site, name))
    for number in range(plugins):
        _install(site, f"made_up_{number}", module)
    return os.path.join(sysconfig.get_path("scripts", scheme="venv", vars=scheme), "python")


def _install(site: str, key: str, module: str) -> None:
    """What an installer leaves of a distribution with one plugin."""
    info = f"{key}-1.0.dist-info"
    files = {
        f"{key}.py": module.format(key=key),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {key}\nVersion: 1.0\n",
        f"{info}/entry_points.txt": f"[keyfob.auth]\n{key} = {key}\n",
    }
    os.mkdir(os.path.join(site, info))
    for name, text in files.items():
        with open(os.path.join(site, name), "w", encoding="utf-8") as file:
            file.write(text)


def _run(python: str, code: str, home: Home) -> str:
    """What the code prints, in an interpreter of its own."""
    return subprocess.run(
        [python, "-I", "-c", code], env=home.environ, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    measuring.main(measure, rounds=15)
