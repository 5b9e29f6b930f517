"""Plugins that try to break what Routing promises: who is heard, under which names, from where, and what it is handed.

All this bounds mistakes, not malice: a plugin runs as the user.
"""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from types import ModuleType

import pytest

from keyfob.credentials.saving import save
from keyfob.errors import PluginError
from keyfob.plugin import Context
from keyfob.routing.builtin import MODULES, RESERVED_IDS, RESERVED_KEYS
from keyfob.routing.strays import refuse_stray
from keyfob.stores.choice import places

from .test_plugins import LOAD, project, run_with_plugins, stray

X = "[model_providers.x]\nbase_url = 'https://x.example'\n[model_providers.x.hmac]\n"
assert project  # a fixture


def reasons(host):
    """Why declarations are not heard, by name."""
    return {one.declaration.name: one.reason for one in host.plugins.refused}


# The allow-list


@pytest.mark.parametrize(
    "where",
    ["keyfob.toml", "config.toml", "work.keyfob.toml", "system keyfob.toml", "requirements", "-c", "environment"],
)
def test_nothing_widens_the_managed_list(home, site, where):
    """No file of the user's or the machine's, no profile, no `-c`, no variable, no spelling of a name."""
    site.install("acme")
    site.install("Bad_Actor", key="other")
    (home.system / "managed_keyfob.toml").write_text("[keyfob]\nallow_plugins = ['ACME']\n")
    wider = "[keyfob]\nallow_plugins = ['acme', 'bad-actor', 'Bad_Actor', 'bad.actor', '*', '']\n"
    if where == "environment":
        home.environ.update(KEYFOB_ALLOW_PLUGINS="bad-actor", KEYFOB_DISABLE_PLUGINS="", KEYFOB_MANAGED="")
        home.write("KEYFOB_ALLOW_PLUGINS=bad-actor\n", ".env")
    elif where == "requirements":
        (home.system / "requirements.toml").write_text(wider)
    elif where == "system keyfob.toml":
        (home.system / "keyfob.toml").write_text(wider)
    elif where != "-c":
        home.write(wider, where)
    options = {"profile": "work"} if where.startswith("work") else {}
    if where == "-c":
        options = {"overrides": ["keyfob.allow_plugins=['acme','bad-actor']"]}
    host = home.host(None, **options)
    assert [one.distribution for one in host.plugins.accepted] == ["acme"]
    assert reasons(host) == {"other": "bad-actor is not in allow_plugins"}
    with pytest.raises(PluginError, match="bad-actor is not in allow_plugins"):
        host.plugins.load("other")
    assert "kf_Bad_Actor" not in sys.modules


@pytest.mark.parametrize(
    "name", ["a\u212ame", "acmé", "acme\x1b[2J", "acme ", "-", "a/../acme", "acme,beta", "\uff21CME"]
)
def test_a_name_that_only_looks_or_compares_like_one_of_the_list(home, site, name):
    """The Kelvin sign is a `k` in lower case; control characters could hide the rest of a line."""
    metadata = site.install("akme")
    (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n", encoding="utf-8")
    home.write("[keyfob]\nallow_plugins = ['akme', 'acme']\n", "keyfob.toml")
    assert set(reasons(home.host(""))) == {"hmac"}


def test_a_distribution_that_calls_itself_by_the_name_of_another(home, site):
    """Its folder, which the installer named, says otherwise; it does not get to be heard in the other's place."""
    metadata = site.install("aaa_evil", key="other")
    (metadata / "METADATA").write_text("Name: acme\nVersion: 1.0\n")
    home.write("[keyfob]\nallow_plugins = ['acme']\n", "keyfob.toml")
    assert reasons(home.host("")) == {"other": f"{metadata} is not the folder of acme"}


# Names


ODD = [
    "",
    "a b",
    "a\tb",
    "a\x07b",
    "..",
    ".",
    "../openai",
    "a/b",
    "a\\b",
    "a|b",
    "a.b",
    "A",
    "_a",
    "-a",
    "é",
    "a:b",
    "%2e",
]


@pytest.mark.parametrize("group", ["keyfob.auth", "keyfob.providers"])
def test_names_that_would_have_to_be_quoted_or_escaped_are_refused(home, site, group):
    """In TOML, in a path of the store, in a keyring's account, on a terminal."""
    names = [*ODD, *(str(name).upper() for name in (RESERVED_KEYS if group == "keyfob.auth" else RESERVED_IDS))]
    metadata = site.install("acme")
    site.declare(metadata, f"[{group}]\n" + "".join(f"{name} = kf_acme\n" for name in names))
    host = home.host("")
    assert host.plugins.accepted == ()
    assert set(reasons(host)) == set(names)
    for name, reason in reasons(host).items():
        kind = "key" if group == "keyfob.auth" else "provider id"
        assert reason == f"the {kind} `{name}` has to be of lower-case letters, digits, - and _"


def test_every_word_that_is_taken_is_reserved(home, site):
    """Each key that Codex knows but `aws`, each built-in plugin, each built-in id."""
    metadata = site.install("acme")
    keys, ids = sorted(RESERVED_KEYS), sorted(RESERVED_IDS)
    lines = ["[keyfob.auth]", *keys, "aws", "[keyfob.providers]", *ids]
    site.declare(metadata, "\n".join(one if one.startswith("[") else f"{one} = kf_acme" for one in lines))
    host = home.host("")
    assert [one.name for one in host.plugins.accepted] == ["aws"]
    assert {"base_url", "env_key", "requires_openai_auth", "http_headers", *MODULES} <= set(keys)
    assert len(host.plugins.refused) == len(keys) + len(ids)


def test_one_distribution_that_declares_a_key_twice(home, site):
    """Neither module is taken for the other."""
    metadata = site.install("acme")
    site.declare(metadata, "[keyfob.auth]\nhmac = kf_acme\nhmac = kf_other\n")
    assert reasons(home.host("")) == {"hmac": "acme 1.0 declares `hmac` more than once"}


@pytest.mark.parametrize(
    "module", ["", ".kf_acme", "kf_acme..x", "kf acme", "kf_acme;os", "../kf_acme", "kf_acme:Plugin"]
)
def test_what_is_no_module_is_refused(home, site, module):
    """Nothing is made of it."""
    site.declare(site.install("acme"), f"[keyfob.auth]\nhmac = {module}\n")
    assert reasons(home.host("")) == {"hmac": f"`{module}` has to be the name of a module"}


def test_a_built_in_plugin_under_another_key(home, site):
    """Its module can be named, and has no plugin of that key."""
    site.declare(site.install("acme"), "[keyfob.auth]\nhmac = keyfob_envkey\n")
    with pytest.raises(PluginError, match=r"acme 1\.0: keyfob_auth_plugins\(\) of keyfob_envkey returned no plugin"):
        _ = home.provider(X).loaded


def test_two_distributions_with_one_provider_id(home, site):
    """Both are named, and neither says where its requests go; a user's own entry of that id needs neither."""
    for name in ("acme", "beta"):
        site.install(name, key="corp", group="keyfob.providers")
    both = r"acme 1\.0 and beta 1\.0 all declare `corp`"
    with pytest.raises(PluginError, match=both):
        _ = home.host("").provider("corp").entry
    own = home.provider("[model_providers.corp]\nbase_url = 'https://mine.example'\nenv_key = 'A'\n", "corp")
    assert own.entry.fields.base_url == "https://mine.example"


# Where code is taken from


@pytest.mark.slow
def test_a_module_on_pythonpath_is_not_run(site, project, monkeypatch):
    """It stands before the site folders; and metadata there declare nothing."""
    site.install("acme")
    stray(project)
    (project / "beta-1.0.dist-info").mkdir()
    (project / "beta-1.0.dist-info" / "entry_points.txt").write_text("[keyfob.auth]\nhmac = kf_beta\n")
    monkeypatch.setenv("PYTHONPATH", str(project))
    said = run_with_plugins(site.folder, LOAD, cwd="/")
    assert (
        said == f"refused: acme 1.0: kf_acme would be imported from {project}/kf_acme.py, where nothing is installed\n"
    )


@pytest.mark.slow
def test_a_stray_part_of_a_namespace_that_is_loaded_is_not_run(site, project):
    """Two distributions share it; the one that is there lends the other's stray no credit."""
    site.install("acme", module="kf_shared.acme")
    site.install("beta", key="other", module="kf_shared.beta")
    (site.folder / "kf_shared" / "acme.py").unlink()
    stray(project, "kf_shared/acme.py")
    said = run_with_plugins(site.folder, f"import kf_shared.beta\n{LOAD}", cwd=project)
    assert said.startswith(f"refused: acme 1.0: kf_shared.acme would be imported from {project}/kf_shared/acme.py")


def test_what_another_thread_imports_meanwhile_is_no_stray(tmp_path, monkeypatch):
    """It is loaded by the second look, which is for where it is installed."""
    (tmp_path / "kf_meanwhile.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    class Other:
        looks = 0

        def find_spec(self, name, path=None, target=None):
            self.looks += name == "kf_meanwhile"
            if self.looks == 2:
                monkeypatch.setitem(sys.modules, "kf_meanwhile", ModuleType("kf_meanwhile"))

    monkeypatch.setattr(sys, "meta_path", [Other(), *sys.meta_path])
    refuse_stray("kf_meanwhile", "acme 1.0", [str(tmp_path)])
    assert "kf_meanwhile" in sys.modules


# What a plugin is handed


SPY = """
from keyfob.plugin import Credential, NoOptions, Record, Records, StoredAuth, hookimpl

seen = []

class Keys(Records):
    def read(self, data):
        seen.append(dict(data))
        return Record(data, data["key"])
    def data_for(self, method, secret):
        return {"key": secret}
    def credential(self, record):
        return Credential({"X-Key": record.token})

class Spy(StoredAuth[NoOptions]):
    key = "%KEY%"
    def records(self, provider, options, context):
        seen.append(context)
        return Keys()

@hookimpl
def keyfob_auth_plugins():
    return [Spy()]

@hookimpl(wrapper=True)
def keyfob_providers():
    seen.append((yield))
    return []
"""


def test_a_plugin_is_handed_the_logins_of_its_own_entries_alone(home, site):
    """Of two plugins with a login each, both providers being used; its context has no store to look into."""
    site.install("spy", SPY, key="hmac")
    site.install("acme", SPY, key="other")
    host = home.host(X + X.replace(".x", ".y").replace("hmac", "other"))
    for name in "xy":
        login = host.provider(name).login
        save(login, login.records.data_for("api-key", f"sk-canary-{name}"))
    for name in "xy":
        assert host.provider(name).headers()["X-Key"] == f"sk-canary-{name}"
    seen = sys.modules["kf_spy"].seen
    contexts = [one for one in seen if isinstance(one, Context)]
    assert {each.name for one in contexts for each in fields(one)} == PARTS
    assert {one["key"] for one in seen if isinstance(one, dict)} == {"sk-canary-x"}
    assert host.provider("x").login.store.place != host.provider("y").login.store.place


PARTS = {"environ", "clock", "send", "login", "interaction"}


def test_a_wrapper_has_nothing_but_its_own_module_to_wrap(home, site):
    """Each module is registered alone, though every plugin's hooks have one name."""
    site.install("acme", key="corp", group="keyfob.providers")
    site.install("spy", SPY, key="spied", group="keyfob.providers")
    host = home.host("")
    with pytest.raises(PluginError, match=r"spy 1\.0: kf_spy has no keyfob_providers\(\)"):
        _ = host.provider("spied").entry
    assert host.provider("corp").entry.fields.env_key == "SHIPPED_KEY"
    assert sys.modules["kf_spy"].seen == [[]]


IDS = [
    "x",
    "X",
    "..",
    ".",
    "a/b",
    "a%2Fb",
    "a\\b",
    "../auth",
    "x.json",
    "x.json.keyfob.lock",
    "a|b",
    "é",
    "con",
    " ",
    "a b",
]


def test_each_provider_of_each_plugin_has_its_own_slice(home):
    """Whatever its id: below the plugin's folder, beside no other's files, under no other's name in the keyring."""
    root = home.folder / "keyfob"
    files, accounts = set(), set()
    for plugin in ("envkey", "hmac"):
        for name in IDS:
            file, keyring = places(str(home.folder), plugin, name, lambda _: None)
            assert os.path.dirname(os.path.normpath(file.place)) == str(root / plugin)
            files.add(file.place)
            accounts.add(keyring.place)
    assert len(files) == len(accounts) == 2 * len(IDS)
