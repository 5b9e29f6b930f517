"""`providers`, `explain`, `config` and `plugins`: what there is, told without running, asking or importing anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from keyfob.cli import plugins
from keyfob.cli.text import Cell
from keyfob.routing.installed import Declaration


def rows(said):
    return [line.split("\t") for line in said.out.splitlines()]


def test_providers_off_a_terminal_are_lines_of_fields(lab, server):
    """Id, base URL, plugin, state, and the default marked; no head."""
    found = {row[0]: row[1:] for row in rows(lab("providers"))}
    assert found["lab"] == [server.base_url, "envkey", "ready", "default"]
    assert found["unset"] == [server.base_url, "envkey", "`UNSET_KEY` not set", ""]
    assert found["open"] == [server.base_url, "none", "ready", ""]
    assert found["openai"] == ["https://api.openai.com/v1", "openai", "not signed in", ""]
    assert found["amazon-bedrock"] == ["-", "-", "no installed plugin handles `aws`", ""]


def test_providers_on_a_terminal_are_a_table(lab):
    """With a head, without tabs."""
    head, first, *_ = lab("providers", tty=True, NO_COLOR="1").out.splitlines()
    assert head.split() == ["PROVIDER", "BASE", "URL", "PLUGIN", "STATE"]
    assert first.startswith("lab (default)  ")
    assert "\t" not in head + first


def test_providers_as_json(lab, server):
    """Under stable keys."""
    found = json.loads(lab("providers", "--json").out)["providers"]
    assert found[1] == {
        "id": "unset",
        "default": False,
        "base_url": server.base_url,
        "plugin": "envkey",
        "ready": False,
        "state": "`UNSET_KEY` not set",
        "faults": [],
    }


def test_a_broken_provider_does_not_stop_the_list(keyfob):
    """It is listed with file, line and fault; exit code 0."""
    path = keyfob.configure("""
[model_providers.first]
env_key = 5
[model_providers.second]
base_url = "https://second.example"
hmac = { key = "canary" }
[model_providers.third]
base_url = "https://third.example"
""")
    found = keyfob("providers")
    first, second, third = rows(found)[:3]
    assert found.code == 0
    assert first[3].startswith(f"broken: {path}:3: env_key: expected a string, found an integer")
    assert second[3] == f"broken: {path}:6: hmac: no installed plugin handles `hmac`"
    assert third[3] == "ready"
    document = json.loads(keyfob("providers", "--json").out)["providers"][0]
    assert (document["ready"], len(document["faults"])) == (None, 1)


def test_a_default_that_is_nowhere_is_said(keyfob):
    """The list is there all the same."""
    keyfob.configure('model_provider = "gone"\n')
    found = keyfob("providers")
    assert (found.code, len(rows(found))) == (0, 5)
    assert "model_provider is 'gone', and there is no such provider" in found.err


def test_listing_runs_no_command(keyfob, tmp_path):
    """Nor does explain."""
    touched = tmp_path / "touched"
    keyfob.configure(f"""
[model_providers.run]
base_url = "https://run.example"
auth = {{ command = "touch", args = ["{touched}"] }}
""")
    assert "ready" in keyfob("providers").out
    assert keyfob("explain", "run").code == 0
    assert not touched.exists()


def test_odd_ids_stay_on_their_line(keyfob):
    """Blanks, emoji, dots and line breaks in an id."""
    names = ["my lab", "v1.2", "🚀", "two\nlines", "tab\there"]
    keyfob.configure(
        "".join(
            f"[model_providers.{json.dumps(name, ensure_ascii=False)}]\nbase_url = 'https://x.example'\n"
            for name in names
        )
    )
    assert [row[0] for row in rows(keyfob("providers"))[:5]] == ["my lab", "v1.2", "🚀", r"two\nlines", r"tab\there"]
    assert [one["id"] for one in json.loads(keyfob("providers", "--json").out)["providers"]][:5] == names
    for name in names:
        assert json.loads(keyfob("explain", name, "--json").out)["provider"] == name


def labelled(said):
    found = {}
    for label, words in rows(said):
        found.setdefault(label, []).append(words)
    return found


def test_explain_tells_the_whole_decision(keyfob):
    """What is set where, what won and lost and why, plugin, credential, headers, reach."""
    system = os.path.join(keyfob.folder, "system", "config.toml")
    with open(system, "w") as file:
        file.write('[model_providers.x]\nbase_url = "https://old.example"\n')
    path = keyfob.configure("""[model_providers.x]
base_url = "https://x.example/v1"
env_key = "X_KEY"
experimental_bearer_token = "sk-canary"
http_headers = { "X-Team" = "canary" }
query_params = { "api-version" = "canary" }
""")
    said = keyfob("explain", "x")
    found = labelled(said)
    assert said.code == 0
    assert "canary" not in said.out
    assert found["plugin"][0].startswith("envkey, of keyfob ")
    assert found["its code"][0].endswith("keyfob_envkey/__init__.py")
    assert found["because"] == ["`env_key` is set"]
    assert found["ignored"] == ["`experimental_bearer_token` (bearer): `env_key` comes first"]
    assert found["state"] == ["`X_KEY` not set"]
    assert found["credential"] == ["environment variable X_KEY"]
    assert found["headers"] == ["X-Team, Authorization"]
    assert found["query"] == ["api-version"]
    assert (found["origin"], found["base path"]) == (["https://x.example"], ["/v1"])
    assert f"{path}:3: env_key (user)" in found["set in"]
    assert f"{system}:2: base_url (system, overruled)" in found["set in"]


@pytest.mark.parametrize(
    ("url", "code", "verdict"),
    [
        ("https://x.example/v1/models", 0, "would be sent"),
        ("https://x.example/v2", 1, "would not be sent"),
        ("http://x.example/v1/models", 1, "would not be sent"),
        ("https://user:canary@x.example.evil.example/?canary", 1, "would not be sent"),
    ],
)
def test_explain_judges_a_url(keyfob, url, code, verdict):
    """Exit code 1 where nothing would be sent."""
    keyfob.configure('[model_providers.x]\nbase_url = "https://x.example/v1"\nenv_key = "X"\n')
    said = keyfob("explain", "x", url)
    assert said.code == code
    assert labelled(said)["to the URL"][0].startswith(verdict)
    assert "canary" not in said.out
    document = json.loads(keyfob("explain", "x", url, "--json").out)
    assert document["verdict"]["sent"] is (code == 0)


def test_explain_says_what_is_broken_and_the_rest(keyfob):
    """Exit code 2; what can be told is told."""
    keyfob.configure('[model_providers.x]\nbase_url = "https://x.example/v1"\nhmac = {}\n')
    said = keyfob("explain", "x")
    assert said.code == 2
    assert "no installed plugin handles `hmac`" in labelled(said)["broken"][0]
    assert labelled(said)["origin"] == ["https://x.example"]


def test_explain_on_a_terminal_repeats_no_label(lab):
    """And writes the home folder as ~."""
    said = lab("explain", "fixed", tty=True, NO_COLOR="1")
    assert said.out.count("set in") == 1
    assert "~/codex/config.toml:" in said.out


def test_config_schema_is_json_schema(keyfob):
    """Of both files."""
    document = json.loads(keyfob("config", "schema").out)
    assert document["$schema"].startswith("https://json-schema.org/")
    assert "model_providers" in document["properties"]


def test_plugins_lists_the_built_in_ones(keyfob):
    """With key, distribution and version."""
    found = rows(keyfob("plugins"))
    assert ["auth", "envkey", "keyfob"] in [row[:3] for row in found]
    assert {row[4] for row in found} == {"built in"}
    document = json.loads(keyfob("plugins", "--json").out)["plugins"][0]
    assert set(document) == {"kind", "name", "distribution", "version", "built_in", "refused", "problem"}


def test_disabled_plugins_are_said(keyfob):
    """Somebody who looks for theirs should know."""
    assert "KEYFOB_DISABLE_PLUGINS" in keyfob("plugins", KEYFOB_DISABLE_PLUGINS="1").err


# The plugins of a test are installed in an environment of their own: `plugins` looks into site folders alone.

SOUND = """
from keyfob.plugin import NoOptions, State, StaticAuth, hookimpl
print("noise of the plugin")
class Sound(StaticAuth[NoOptions]):
    key = "sound"
    def headers(self, options, context): return {"X-Key": "k"}
    def state(self, provider, options, context): return State(True, "ready", "nowhere")
@hookimpl
def keyfob_auth_plugins(): return [Sound()]
@hookimpl
def keyfob_providers(): return {"shipped": {"base_url": "https://shipped.example", "sound": {}}}
"""
INSTALLED = {
    "sound": (SOUND, "[keyfob.auth]\nsound = m_sound\n[keyfob.providers]\nshipped = m_sound\n"),
    "hears": (
        "from keyfob.plugin import hookimpl\n@hookimpl\ndef keyfob_event(event): pass",
        "[keyfob.events]\nlog = m_hears\n",
    ),
    "raises": ("raise ValueError('no luck')", "[keyfob.auth]\nraises = m_raises\n"),
    "exits": ("import sys; sys.exit(0)", "[keyfob.auth]\nexits = m_exits\n"),
    "dies": ("import os; os._exit(0)", "[keyfob.auth]\ndies = m_dies\n"),
    "hangs": ("import time; time.sleep(600)", "[keyfob.auth]\nhangs = m_hangs\n"),
    "takes": ("", "[keyfob.auth]\nenv_key = m_takes\n"),
    "deaf": ("", "[keyfob.events]\nlog = m_deaf\n"),
}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """The Python of an environment where plugins are installed: sound ones, and those that somebody shipped."""
    root = tmp_path_factory.mktemp("stocked")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, timeout=60)
    site = root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    here = [folder for folder in sys.path if folder and os.path.isdir(folder)]
    (site / "borrowed.pth").write_text("\n".join(here))
    for name, (module, entry_points) in INSTALLED.items():
        (site / f"m_{name}.py").write_text(module)
        metadata = site / f"third_{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "entry_points.txt").write_text(entry_points)
        (metadata / "METADATA").write_text(f"Name: third-{name}\nVersion: 1.0\n")
    return str(root / "bin" / "python")


def listed(keyfob, python, *arguments):
    command = [python, "-m", "keyfob", "plugins", "--json", *arguments]
    done = subprocess.run(command, env=keyfob.script_environ, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""  # where the noise of a plugin would be, had it been imported
    found = {(one["distribution"], one["kind"]): one for one in json.loads(done.stdout)["plugins"]}
    return done.returncode, found


@pytest.mark.slow
def test_plugins_are_listed_from_metadata_alone(keyfob, stocked):
    """None is imported, or the one that sleeps would be noticed; one that takes a key of Codex is refused."""
    code, found = listed(keyfob, stocked)
    assert code == 0
    assert {("third-sound", "auth"), ("third-sound", "provider"), ("third-hears", "events")} <= set(found)
    assert "reserved" in found["third-takes", "auth"]["refused"]
    assert all(one["problem"] is None for one in found.values())


@pytest.mark.slow  # one of them has to take too long
def test_check_imports_each_in_a_process_of_its_own(keyfob, stocked):
    """What each does at import harms nobody; the data stays clean; a refused one is not imported."""
    code, found = listed(keyfob, stocked, "--check")
    assert code == 1
    problems = {name: one["problem"] for name, one in found.items() if one["problem"]}
    assert set(problems) == {(f"third-{name}", "auth") for name in ("raises", "exits", "dies", "hangs")} | {
        ("third-deaf", "events")
    }
    assert "ValueError: no luck" in problems["third-raises", "auth"]
    assert "SystemExit" in problems["third-exits", "auth"]
    assert "ended the process" in problems["third-dies", "auth"]
    assert "within 5 s" in problems["third-hangs", "auth"]
    assert "keyfob_event" in problems["third-deaf", "events"]


def test_a_finding_is_shown_beside_its_plugin():
    """In the words for people."""
    declared = Declaration("keyfob.auth", "x", "m", "third", "1", "")
    one = plugins.Listed(declared)
    assert plugins._state(one, "no luck", checked=True) == Cell("broken: no luck", "red")
    assert plugins._state(one, None, checked=True).text == "declared, can be loaded"
    assert plugins._state(plugins.Listed(declared, refused="why"), None, checked=False).text == "refused: why"
