"""The snapshot counts only while it holds true, and holds nothing secret."""

from __future__ import annotations

import os
import time

import pytest

from keyfob import ConfigWarning, Host
from keyfob.config import snapshot
from keyfob.config.places import Places
from keyfob.config.snapshot import Routed, load
from keyfob.config.snapshot_writer import Watched, save

CONFIG = """
model_provider = "lab"
[model_providers.lab]
base_url = "https://lab.example/v1"
env_key = "LAB_KEY"
[model_providers.local]
base_url = "http://127.0.0.1:1/v1"
[model_providers.fixed]
base_url = "https://fixed.example/canary-path"
experimental_bearer_token = "canary-bearer"
http_headers = { "X-Key" = "canary-header" }
query_params = { key = "canary-query" }
[model_providers.run]
base_url = "https://run.example/v1"
auth = { command = "canary-command", args = ["canary-arg"] }
[model_providers.broken]
env_key = 5
"""


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Places with a configuration; what was just written counts as settled."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
    home, system = tmp_path / "home", tmp_path / "system"
    home.mkdir()
    system.mkdir()
    (home / "config.toml").write_text(CONFIG)
    return Places(str(home), system=str(system), cache=str(tmp_path / "cache" / "keyfob"))


def remembered(places, **options):
    """Whether a host with these options wrote its snapshot."""
    return Host({"LAB_KEY": "canary-env"}, places=places, **options).remember()


def snapshot_file(places):
    """The one snapshot in the cache."""
    (name,) = os.listdir(places.cache)
    return os.path.join(places.cache, name)


def test_it_knows_what_each_provider_came_to(places):
    """Plugin, variable, file and line of each sound entry, and the default."""
    assert remembered(places)
    held = load(places)
    assert held is not None
    assert held.default == "lab"
    lab = held.routed("lab")
    assert lab is not None
    assert (lab.plugin, lab.variable, lab.line) == ("envkey", "LAB_KEY", "5")
    assert lab.file == os.path.join(places.codex_home, "config.toml")
    assert [held.routed(name).plugin for name in ("local", "fixed", "run", "openai")] == [
        "none",
        "bearer",
        "command",
        "openai",
    ]
    assert "lab" in held.ids


def test_how_a_broken_entry_is_routed_is_not_in_it(places):
    """But for its id: whoever asks for it reads the configuration, and its fault."""
    assert remembered(places)
    assert "broken" in load(places).ids
    assert load(places).routed("broken") is None
    assert load(places).routed("nobody") is None


def test_it_holds_no_value_that_could_be_a_secret_and_no_options(places):
    """Ids, plugin keys, names of variables, file and line, and nothing else."""
    assert remembered(places)
    with open(snapshot_file(places)) as file:
        assert "canary" not in file.read()


def test_only_its_owner_can_read_it(places):
    """The file is 0600 and its folder 0700 whatever the umask."""
    old = os.umask(0)
    try:
        assert remembered(places)
    finally:
        os.umask(old)
    assert os.stat(snapshot_file(places)).st_mode & 0o777 == 0o600
    assert os.stat(places.cache).st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_flipped_byte_is_noticed(places):
    """A damaged snapshot does not count, wherever the damage is; every fifth place is tried, and the whole end."""
    assert remembered(places)
    path = snapshot_file(places)
    with open(path, "rb") as file:
        sound = file.read()
    for place in (*range(0, len(sound), 5), *range(len(sound) - 20, len(sound))):
        damaged = bytearray(sound)
        damaged[place] ^= 0x01
        with open(path, "wb") as file:
            file.write(damaged)
        assert load(places) is None, f"byte {place} of {len(sound)}"


@pytest.mark.parametrize("keep", [0, 1, 10, -1, -9, -20])
def test_a_truncated_one_does_not_count(places, keep):
    """Cut at any place, it is as if there were none."""
    assert remembered(places)
    path = snapshot_file(places)
    with open(path, "rb") as file:
        sound = file.read()
    with open(path, "wb") as file:
        file.write(sound[:keep])
    assert load(places) is None


def test_one_behind_a_link_does_not_count(places, tmp_path):
    """A link could lead to a file that somebody else writes."""
    assert remembered(places)
    path = snapshot_file(places)
    moved = tmp_path / "elsewhere"
    os.rename(path, moved)
    os.symlink(moved, path)
    assert load(places) is None


def test_one_of_another_owner_does_not_count(places, monkeypatch):
    """It could say anything."""
    assert remembered(places)
    assert load(places) is not None
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert load(places) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o640, 0o604])
def test_one_that_others_can_open_does_not_count(places, mode):
    """It is private, or it is not ours."""
    assert remembered(places)
    os.chmod(snapshot_file(places), mode)
    assert load(places) is None


def test_a_folder_or_pipe_in_its_place_does_not_count(places):
    """And a named pipe does not make anybody wait."""
    assert remembered(places)
    path = snapshot_file(places)
    os.unlink(path)
    os.mkfifo(path, 0o600)
    assert load(places) is None
    os.unlink(path)
    os.mkdir(path)
    assert load(places) is None


@pytest.mark.parametrize("name", ["config.toml", "keyfob.toml", ".env"])
def test_a_file_of_the_home_that_appears_or_changes_ends_it(places, name):
    """Each file that is looked for counts, those that were absent too."""
    assert remembered(places)
    assert load(places) is not None
    path = os.path.join(places.codex_home, name)
    with open(path, "a") as file:
        file.write("\n# changed\n")
    assert load(places) is None


@pytest.mark.parametrize("name", ["config.toml", "keyfob.toml", "managed_config.toml", "managed_keyfob.toml"])
def test_a_file_of_the_administrator_that_appears_ends_it(places, name):
    """The system and managed layers are looked at as well."""
    assert remembered(places)
    with open(os.path.join(places.system, name), "w") as file:
        file.write("")
    assert load(places) is None


def test_a_managed_file_is_read_at_every_start(places, monkeypatch):
    """A change that its times do not show, and a file that can no longer be read, end the snapshot."""
    path = os.path.join(places.system, "managed_config.toml")
    with open(path, "w") as file:
        file.write("# one\n")
    monkeypatch.setattr(snapshot, "identify", lambda path: snapshot._ABSENT if not os.path.exists(path) else "same")
    assert remembered(places)
    assert load(places) is not None
    with open(path, "w") as file:
        file.write("# two\n")
    assert load(places) is None


def test_another_installed_distribution_ends_it(places, tmp_path, monkeypatch):
    """Entry points decide the routing of what holds a key that a plugin might claim, so there each `entry_points.txt`
    counts, and each that is not there; `lab` holds none."""
    with open(os.path.join(places.codex_home, "config.toml"), "a") as file:
        file.write('[model_providers.odd]\nbase_url = "https://odd.example"\nenv_key = "A"\nhmac = 5\n')
    site = tmp_path / "site"
    (site / "some-1.0.dist-info").mkdir(parents=True)
    for module in ("keyfob.host", "keyfob.config.snapshot", "keyfob.routing.plugins"):
        monkeypatch.setattr(f"{module}.site_folders", lambda: [str(site)])
    with pytest.warns(ConfigWarning, match="hmac"):
        assert remembered(places)
    assert load(places).routed("odd").plugin == "envkey"
    assert "odd" in load(places).ids
    before = os.stat(site)
    (site / "some-1.0.dist-info" / "entry_points.txt").write_text("[keyfob.auth]\nhmac = some\n")
    os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(places).routed("odd") is None
    assert load(places).ids is None
    assert load(places).routed("lab").variable == "LAB_KEY"


def test_what_changed_just_now_is_not_remembered(places, monkeypatch):
    """Within two seconds a file could change again without its times showing it."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", 2.0)
    assert not remembered(places)
    assert not os.path.exists(places.cache)


def test_two_seconds_later_it_is_remembered(places, monkeypatch):
    """The rule is about age, not about change."""
    monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", 2.0)
    watched = Watched()
    watched.add([os.path.join(places.codex_home, "config.toml")])
    assert not save(places, None, watched, "lab", {}, time.time() + 1)
    assert save(places, None, watched, "lab", {}, time.time() + 3)


def test_a_change_while_it_was_made_is_noticed(places):
    """A file that changed between being looked at and being remembered was perhaps read before the change."""
    host = Host({}, places=places)
    assert host.ids
    with open(os.path.join(places.codex_home, "config.toml"), "a") as file:
        file.write("# later\n")
    assert not host.remember()


def test_overrides_and_switches_go_round_it(places):
    """`-c` and KEYFOB_DISABLE_PLUGINS are not in its key, so they neither read nor write it."""
    assert not remembered(places, overrides=["model_provider=local"])
    assert not Host({"KEYFOB_DISABLE_PLUGINS": "1"}, places=places).remember()
    assert remembered(places)
    assert Host({}, places=places).snapshot is not None
    assert Host({}, places=places, overrides=["model_provider=local"]).snapshot is None
    assert Host({"KEYFOB_DISABLE_PLUGINS": "1"}, places=places).snapshot is None
    assert Host({"KEYFOB_ASKING": "lab"}, places=places).snapshot is None


def test_each_profile_has_its_own(places):
    """A profile is a layer of its own, so what it comes to is remembered apart."""
    with open(os.path.join(places.codex_home, "work.config.toml"), "w") as file:
        file.write('model_provider = "local"\n')
    assert remembered(places)
    assert remembered(places, profile="work")
    assert load(places).default == "lab"
    assert load(places, "work").default == "local"


@pytest.mark.parametrize("change", ["codex_home", "system", "prefix", "hexversion", "sites"])
def test_it_is_for_one_home_and_one_interpreter(places, monkeypatch, tmp_path, change):
    """A snapshot under the right name but for another place does not count."""
    assert remembered(places)
    path = snapshot_file(places)
    other = Places(places.codex_home, system=places.system, cache=places.cache)
    if change == "prefix":
        monkeypatch.setattr(snapshot.sys, "prefix", "/elsewhere")
    elif change == "hexversion":
        monkeypatch.setattr(snapshot.sys, "hexversion", 1)
    elif change == "sites":
        monkeypatch.setattr(snapshot, "site_folders", list)
    else:
        setattr(other, change, str(tmp_path))
    assert load(other) is None
    os.rename(path, snapshot.path_of(other, None))
    assert load(other) is None


def test_ids_that_would_break_its_lines_are_left_out(places):
    """They are read from the configuration each time."""
    with open(os.path.join(places.codex_home, "config.toml"), "a") as file:
        file.write('[model_providers."a\\tb"]\nbase_url = "https://x.example"\n')
        file.write('[model_providers."a\\nprovider\\tlab\\tnone"]\nbase_url = "https://x.example"\n')
    assert remembered(places)
    held = load(places)
    assert held.routed("a\tb") is None
    assert held.routed("lab").plugin == "envkey"


def test_a_cache_that_cannot_be_written_is_no_fault(places):
    """Everything works without it, only slower."""
    with open(os.path.dirname(places.cache), "w") as file:
        file.write("a file where the folder should be")
    assert not remembered(places)


def test_a_host_takes_the_plugin_from_it(places):
    """Without reading the configuration at all."""
    assert remembered(places)
    host = Host({}, places=places)
    assert host.provider("lab").plugin == "envkey"
    assert "configuration" not in vars(host)


def test_a_saved_route_is_read_back(places):
    """All four fields."""
    assert save(places, None, Watched(), "x", {"x": Routed("envkey", "/f", "3", "VAR")}, time.time())
    held = load(places).routed("x")
    assert (held.plugin, held.variable, held.file, held.line) == ("envkey", "VAR", "/f", "3")


@pytest.mark.parametrize("url", ["http://far.example/v1", "https://me:pw@lab.example/v1", "lab.example", ""])
def test_a_provider_that_could_not_be_used_is_not_answered_from_it(places, url):
    """What is wrong with its base URL is for the command to say, and no token is printed."""
    with open(os.path.join(places.codex_home, "config.toml"), "a") as file:
        file.write(f'[model_providers.odd]\nbase_url = "{url}"\nenv_key = "LAB_KEY"\n')
    assert remembered(places)
    assert load(places).routed("odd") is None
    assert load(places).routed("lab") is not None
