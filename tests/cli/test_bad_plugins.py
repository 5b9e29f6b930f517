"""Plugins that break, each in a way of its own: its entry fails with a sentence that names the distribution, all else
works, and `keyfob plugins` and `keyfob doctor` show it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyfob import __version__
from keyfob.cli import trial
from keyfob.cli.run import run
from keyfob.routing import patience

from ..homes import Site  # noqa: TID252
from ..homes import home as home  # noqa: TID252
from ..homes import site as site  # noqa: TID252

CANARY = "sk-canary-of-a-plugin"
SOUND = f"""
from keyfob.plugin import Context, Credential, NoOptions, StaticAuth, StaticSource, State, hookimpl

class Plugin(StaticAuth[NoOptions]):
    key = "%KEY%"
    def __repr__(self): return "{CANARY}"
    def headers(self, options, context): return {{"Authorization": "Bearer {CANARY}"}}
    #METHOD

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]
"""
LEAK = f"""
class Leak(dict):
    def __repr__(self): return "{CANARY}"
    __str__ = __repr__
"""


def plugin(method: str = "", before: str = "") -> str:
    """A plugin that is sound but for one method, and for what stands before it."""
    return before + SOUND.replace("#METHOD", method)


def hooks(hook: str) -> str:
    """A module that has one hook, and no plugin."""
    return f"from keyfob.plugin import hookimpl\n@hookimpl\n{hook}"


@dataclass
class Bad:
    """One bad plugin. says: of its entry's error. refused: of what `keyfob plugins` tells without importing it."""

    source: str
    says: str
    refused: str | None = None
    requires: str | None = None
    gone: str | None = None
    rival: bool = False


BAD = {
    "import": Bad("import no_such_module_kf", "kf_import cannot be imported: ModuleNotFoundError"),
    "odd": Bad("class Odd(BaseException): pass\nraise Odd('why')", "kf_odd cannot be imported: Odd: why"),
    "open": Bad(plugin(f"def open(self, *_): raise ValueError('{CANARY}')"), "plugin `open` broke in open: ValueError"),
    "leak": Bad(
        plugin("def open(self, *_): raise RuntimeError(self, Leak())", LEAK),
        "plugin `leak` broke in open: RuntimeError",
    ),
    "no-list": Bad(hooks("def keyfob_auth_plugins(): return 5"), "returned a int, not a list"),
    "no-source": Bad(plugin("def open(self, *_): return Leak()", LEAK), "`no-source` returned no CredentialSource"),
    "no-url": Bad(
        plugin("def base_url(self, *_): return Leak()", LEAK), "base_url() of plugin `no-url` returned no text"
    ),
    "no-state": Bad(
        plugin("def state(self, *_): return Leak()", LEAK), "state() of plugin `no-state` returned no State"
    ),
    "hook": Bad(hooks("def keyfob_token(): return []"), "unknown hook 'keyfob_token'"),
    "wrapper": Bad(
        f"from keyfob.plugin import hookimpl\n{LEAK}\n@hookimpl(wrapper=True)\ndef keyfob_auth_plugins():\n"
        "    yield\n    return Leak()",
        "kf_wrapper has no keyfob_auth_plugins() that is marked @hookimpl and returns something",
    ),
    "half": Bad(plugin(), "its METADATA is gone", refused="kf-half is half uninstalled", gone="METADATA"),
    "other-half": Bad(plugin(), "kf_other_half cannot be imported: ModuleNotFoundError", gone="module"),
    "newer": Bad(
        plugin(),
        f"kf-newer 1.0 needs keyfob>=9, this is {__version__}",
        refused=f"kf-newer 1.0 needs keyfob>=9, this is {__version__}",
        requires="keyfob >= 9",
    ),
    "newer-name": Bad("from keyfob.plugin import Teleport", f"; this is keyfob {__version__}"),
    "two": Bad(plugin(), "kf-two 1.0 and kf-two-too 1.0 all declare `two`", refused="kf-two 1.0 and", rival=True),
    "openai": Bad(plugin(), "is refused: the key `openai` is reserved", refused="the key `openai` is reserved"),
}


def install(site: Site, name: str, bad: Bad) -> None:
    """Install it, or what is left of it; its key is its name."""
    module = f"kf_{name.replace('-', '_')}"
    for distribution in [f"kf-{name}", *([f"kf-{name}-too"] if bad.rival else [])]:
        metadata = site.install(distribution, bad.source, key=name, module=module)
        if bad.requires:
            text = (metadata / "METADATA").read_text()
            (metadata / "METADATA").write_text(text.replace("\n\n", f"\nRequires-Dist: {bad.requires}\n\n", 1))
        if bad.gone == "METADATA":
            (metadata / "METADATA").unlink()
    if bad.gone == "module":
        (site.folder / f"{module}.py").unlink()


def entries(*names: str) -> str:
    """An entry for each of these plugins; one of another plugin, and one of none."""
    url = "base_url = 'https://x.example/v1'\n"
    own = "".join(f"[model_providers.{name}-entry]\n{'' if name == 'no-url' else url}{name} = {{}}\n" for name in names)
    return f"{own}[model_providers.fine]\n{url}sound = {{}}\n[model_providers.good]\n{url}env_key = 'GOOD'\n"


@pytest.mark.parametrize("name", BAD)
def test_its_entry_fails_and_all_else_works(keyfob, site, name):
    """Exit code 2, the distribution named, no secret shown; another plugin and a built-in one answer as ever."""
    bad = BAD[name]
    install(site, name, bad)
    site.install("kf-sound", plugin(), key="sound", module="kf_sound")
    keyfob.configure(entries(name))
    said = keyfob("explain" if name == "no-state" else "token", f"{name}-entry")
    told = said.err + said.out
    assert (said.code, bad.says in told, f"kf-{name}" in told) == (2, True, True), told
    assert CANARY not in told
    for other, token in (("fine", CANARY), ("good", "sk-good")):
        found = keyfob("token", other, GOOD="sk-good")
        assert (found.code, found.out, found.err) == (0, f"{token}\n", "")
    listed = {row[2]: row[4] for row in (line.split("\t") for line in keyfob("plugins").out.splitlines())}
    assert (f"refused: {bad.refused}" if bad.refused else "declared") in listed[f"kf-{name}"]
    assert listed["kf-sound"] == "declared"


def test_one_that_fails_is_imported_once(keyfob, site, tmp_path):
    """It may have taken its time, and explain asks for many parts of the provider."""
    count = f"with open({str(tmp_path / 'count')!r}, 'a') as file: file.write('x')\n1/0"
    install(site, "fails", Bad(count, ""))
    keyfob.configure(entries("fails"))
    assert "ZeroDivisionError" in keyfob("explain", "fails-entry").out
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize("name", ["newer", "newer-name"])
def test_what_needs_another_keyfob_says_how_to_get_it(keyfob, site, name):
    """Both distributions are named, so that those are found which fit each other."""
    install(site, name, BAD[name])
    keyfob.configure(entries(name))
    assert f"→ pip install --upgrade keyfob kf-{name}\n" in keyfob("token", f"{name}-entry").err


@pytest.mark.parametrize(
    ("origin", "whence"),
    [
        ({"url": "file:///src/my%20plugin", "dir_info": {}}, "'/src/my plugin'"),
        ({"url": "file:///src/plugin", "dir_info": {"editable": True}}, "--editable /src/plugin"),
        ({"url": "https://example.com/plugin.whl", "archive_info": {}}, "kf-newer"),
        ({}, "kf-newer"),
    ],
)
def test_what_was_installed_from_a_folder_is_not_sought_by_its_name(keyfob, site, origin, whence):
    """On an index, that may be anybody's."""
    install(site, "newer", BAD["newer"])
    (next(site.folder.glob("*.dist-info")) / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    keyfob.configure(entries("newer"))
    assert f"→ pip install --upgrade keyfob {whence}\n" in keyfob("token", "newer-entry").err


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ("keyfob", True),
        (f"KeyFob[httpx2] (>={__version__})", True),
        ("keyfob ~= 0.1; python_version < '3'", True),
        ("keyfob >= 9; extra == 'later'", True),
        (f"keyfob >= {__version__}.0", True),
        (f"keyfob >= {__version__}.1", False),
        ("keyfob-other >= 9", True),
        ("keyfob @ file:///nowhere", True),
        ("keyfob ==> 1, nonsense", True),
        ("keyfob < 0.1", False),
        ("keyfob >= 9; python_version > '3'", False),
    ],
)
def test_which_keyfob_it_needs(keyfob, site, requires, fits):
    """Extras and markers are those of PEP 508; what is no requirement is the installer's business."""
    install(site, "p", Bad(plugin(), "", requires=requires))
    keyfob.configure(entries("p"))
    assert (keyfob("token", "p-entry").code == 0) is fits


@pytest.mark.parametrize("requires", ["keyfob", "keyfob>=0.1", "keyfob >= 0", f"keyfob>={__version__}"])
def test_what_most_plugins_write_takes_no_time(keyfob, site, monkeypatch, requires):
    """What reads any other requirement is not imported for it."""
    install(site, "p", Bad(plugin(), "", requires=requires))
    keyfob.configure(entries("p"))
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert keyfob("token", "p-entry").out == f"{CANARY}\n"


def test_what_a_plugin_prints_does_not_reach_stdout(keyfob, site):
    """The token stands there alone."""
    install(
        site,
        "loud",
        Bad("print('noise')\n" + plugin("def open(self, *_): print('noise'); return super().open(*_)"), ""),
    )
    keyfob.configure(entries("loud"))
    said = keyfob("token", "loud-entry")
    assert (said.out, said.err) == (f"{CANARY}\n", "noise\nnoise\n")


@pytest.mark.slow
def test_who_waits_for_a_plugin_learns_which(keyfob, site, monkeypatch):
    """After a second, on stderr; the answer comes all the same."""
    monkeypatch.setattr(patience, "PATIENCE", 0.01)
    install(site, "slow", Bad("import time; time.sleep(0.2)" + plugin(), ""))
    keyfob.configure(entries("slow"))
    said = keyfob("token", "slow-entry")
    assert said.out == f"{CANARY}\n"
    assert said.err == "keyfob: waiting for kf-slow 1.0: its plugin has been loading for more than 0.01 s\n"


@pytest.mark.slow
def test_what_a_trial_finds_is_not_imported_by_doctor(keyfob, site, monkeypatch):
    """Its entry's finding is the trial's, with the distribution; the plugin that is sound is opened here."""
    install(site, "import", BAD["import"])
    keyfob.configure(entries("import"))
    monkeypatch.setattr(trial, "problems", lambda declared, _: {one: f"{one}: it was slow" for one in declared})
    found = json.loads(keyfob("doctor", "--json").out)["findings"]
    assert {one["topic"] for one in found if "kf-import 1.0: it was slow" in one["message"]} == {
        "configuration",
        "plugins",
    }
    assert "kf_import" not in sys.modules


@pytest.mark.parametrize(
    "command", ["token good", "headers good", "explain good", "check good --json", "plugins", "completion --ids"]
)
def test_no_plugin_is_imported_by_what_needs_none(keyfob, site, command):
    """Though an entry goes to one, one ships a provider and one listens; nor by what is remembered at the end."""
    module = "import sys; sys.modules['kf_was_imported'] = sys"
    for name, group in (("key", "keyfob.auth"), ("corp", "keyfob.providers"), ("hears", "keyfob.events")):
        site.install(f"kf-{name}", module, key=name, group=group, module=f"kf_{name}")
    keyfob.configure(entries("key"))
    keyfob(*command.split(), GOOD="sk-good")
    assert "kf_was_imported" not in sys.modules


@pytest.mark.slow
def test_listing_and_doctor_import_what_an_entry_needs_alone(keyfob, site, monkeypatch):
    """Not what is merely installed, nor what listens; `status openai` not what another entry needs either."""
    for name, group in (("key", "keyfob.auth"), ("hears", "keyfob.events")):
        site.install(f"kf-{name}", "import sys; sys.modules['kf_was_imported'] = sys", key=name, group=group)
    monkeypatch.setattr(trial, "problems", lambda declared, _: dict.fromkeys(declared))
    keyfob.configure(entries())
    for command in ("providers", "doctor", "status", "store"):
        keyfob(command)
    keyfob.configure(entries("key"))
    keyfob("status", "openai")
    assert "kf_was_imported" not in sys.modules


# What a trial finds, in processes of an environment that has all of them.

SLOW = Bad("import time; time.sleep(60)", "kf_slow was not loaded within")
ALL = {**BAD, "slow": SLOW, "dies": Bad("import os; os._exit(0)", "ended the process that loaded it, with status 0")}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """Runs a command of a keyfob that has all of them installed, and an entry for each."""
    root = tmp_path_factory.mktemp("stocked")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True, timeout=60)
    folder = root / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (folder / "borrowed.pth").write_text("\n".join(one for one in sys.path if Path(one).is_dir()))
    for name, bad in ALL.items():
        install(Site(folder), name, bad)
    Site(folder).install("kf-sound", plugin(), key="sound", module="kf_sound")
    (root / "codex").mkdir()
    (root / "codex" / "config.toml").write_text(entries(*ALL))
    environ = {"HOME": str(root), "CODEX_HOME": str(root / "codex"), "GOOD": "sk-good"}
    python = root / "venv" / "bin" / "python"

    def run(*arguments):
        command = [python, "-m", "keyfob", *arguments, "--json"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
        assert CANARY not in done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.slow
def test_a_trial_finds_what_is_wrong(stocked):
    """`keyfob plugins --check`, each by the sentence that its entry would get; the sound one is sound."""
    found = {one["distribution"]: one for one in stocked("plugins", "--check")["plugins"]}
    for name, bad in ALL.items():
        told = found[f"kf-{name}"]
        assert bad.says in str(told["problem"]) or bad.refused in str(told["refused"]), told
    assert found["kf-sound"]["problem"] is None


@pytest.mark.slow
def test_doctor_shows_each(stocked):
    """A finding names the distribution; none of them ends doctor, or holds it up."""
    found = stocked("doctor")["findings"]
    told = [one["message"] for one in found if one["topic"] == "plugins"]
    for name, bad in ALL.items():
        assert any(f"kf-{name}" in message and (bad.refused or bad.says) in message for message in told), name
    assert not any("kf-sound" in message for message in told)


CHATTY = """
import os, subprocess, sys
from keyfob.plugin import Credential, MintingAuth, NoOptions, hookimpl

class Plugin(MintingAuth[NoOptions]):
    key = "%KEY%"

    def mint(self, provider, options, context):
        subprocess.run([sys.executable, "-S", "-c", "print('opening the sign-in page')"])
        os.write(1, b"and more")
        return Credential.bearer("the-token")

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]
"""


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["token", "x"], "the-token\n"),
        (["headers", "x"], "Authorization: Bearer the-token\n"),
    ],
)
def test_what_a_plugins_programs_print_is_no_token(home, site, capfd, arguments, answer):
    """Whoever asks a command for its token takes all of stdout for it."""
    site.install("chatty", CHATTY, key="chatty")
    home.write("[model_providers.x]\nbase_url = 'https://x.example'\nchatty = {}\n")
    assert run(arguments, home.environ, places=home.places) == 0
    said = capfd.readouterr()
    assert said.out == answer
    assert "opening the sign-in page" in said.err
