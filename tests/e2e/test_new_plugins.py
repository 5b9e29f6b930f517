"""What `keyfob plugin new` writes passes its own tests, strict types and lint, and can be built, installed and used.

It is written by the keyfob of a wheel, so that the templates are seen to be in there.
"""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from keyfob.scaffold.files import KINDS

from . import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
# An underscore, a hyphen, a word of Python's, the least that there can be, and nothing special.
NAMES: Final = dict(zip(KINDS, ("our_llm", "my-llm", "true", "x", "acme"), strict=True))
AT_ONCE: Final = 2  # processes: much of each is waiting, and other tests run beside it
AS_ITS_AUTHOR: Final = {
    "tests": ("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
    "types": ("-m", "mypy", "--strict", "--cache-dir", "../mypy"),
    "lint": ("-m", "ruff", "check", "--no-cache"),
    "format": ("-m", "ruff", "format", "--check", "--no-cache"),
    "build": ("-m", "build", "--no-isolation"),
}
PIP: Final = (
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-index",
    "--no-deps",
    "--no-build-isolation",
    "--ignore-installed",
)


class World(NamedTuple):
    """An environment with keyfob's wheel and a new plugin of each kind, in folders of its own."""

    folder: Path
    python: Path
    environ: Mapping[str, str]

    def project(self, kind: str) -> Path:
        """The folder of one of them."""
        return self.folder / f"keyfob-{NAMES[kind].replace('_', '-')}"

    def run(self, *command: str, folder: Path | None = None, **environ: str) -> str:
        """What a command of this Python's prints; it has to succeed."""
        ended = subprocess.run(
            [self.python, *command],
            cwd=folder or self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What stands in the environment of the examples is there too, but for keyfob itself."""
    if reason := parts.missing("examples"):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("new")
    subprocess.run([parts.path("examples"), "-m", "venv", "--without-pip", folder / "venv"], check=True)
    world = World(folder, folder / "venv/bin/python", parts.offline_environ(str(folder)))
    places = [
        subprocess.check_output([each, "-c", _SITE], text=True) for each in (parts.path("examples"), world.python)
    ]
    Path(places[1], "examples.pth").write_text(places[0])
    world.run(*PIP, str(ROOT))
    for kind, name in NAMES.items():
        world.run("-m", "keyfob", "plugin", "new", name, "--kind", kind)
    world.run(*PIP, *(word for kind in KINDS for word in ("--editable", f"./{world.project(kind).name}")))
    return world


_SITE: Final = "import sysconfig; print(sysconfig.get_path('purelib'), end='')"


@pytest.fixture(scope="module")
def outcomes(world: World, request: pytest.FixtureRequest) -> Iterator[Mapping[tuple[str, str], Future[str]]]:
    """Kind and what its author does → what came of that."""
    own = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    wanted = [item.callspec.params for item in own if "outcomes" in item.fixturenames]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (each["kind"], each["what"]): pool.submit(
                world.run, *AS_ITS_AUTHOR[each["what"]], folder=world.project(each["kind"])
            )
            for each in wanted
        }


@pytest.mark.parametrize("what", AS_ITS_AUTHOR)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_sound_as_it_is_written(
    outcomes: Mapping[tuple[str, str], Future[str]], kind: str, what: str, world: World
) -> None:
    """Nothing has to be filled in first; of what is tested nothing fails, and of the kit something is tested."""
    said = outcomes[kind, what].result()
    if what == "tests":
        assert re.search(r"\d\d passed", said), said
    if what == "build":
        built = {path.name.partition("-")[2] for path in (world.project(kind) / "dist").iterdir()}
        assert built == {"0.1.0.tar.gz", "0.1.0-py3-none-any.whl"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_entry_of_its_readme_leads_to_it(world: World, kind: str, tmp_path: Path) -> None:
    """As somebody copies it."""
    readme = (world.project(kind) / "README.md").read_text("utf-8")
    (entry,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "keyfob.toml").write_text(entry)
    (provider,) = re.findall(r"keyfob explain (\S+)", readme)
    said = world.run("-m", "keyfob", "explain", provider, CODEX_HOME=str(tmp_path))
    expected = "envkey, of keyfob" if kind == "provider" else f"{NAMES[kind]}, of {world.project(kind).name} 0.1.0"
    assert f"plugin\t{expected}" in said
    assert "warning" not in said


def test_all_of_them_can_be_loaded(world: World) -> None:
    """`keyfob plugins --check`, as the README says, ends with 0 and lists each."""
    said = world.run("-m", "keyfob", "plugins", "--check", CODEX_HOME=os.fspath(world.folder))
    for kind, name in NAMES.items():
        group = "provider" if kind == "provider" else "auth"
        assert re.search(rf"^{group}\t{name}\t{world.project(kind).name}\t0\.1\.0\tdeclared", said, re.MULTILINE), said
