"""Plugins: who is heard, who is refused and why, and one that breaks breaks nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from keyfob.errors import ConfigError, CredentialError, PluginError
from keyfob.plugin import MissingCredentialError, Unsigned
from keyfob.routing.builtin import MODULES
from keyfob.routing.plugins import Plugins

from ..homes import PLUGIN  # noqa: TID252

X = "[model_providers.x]\nbase_url = 'https://x.example'\n[model_providers.x.hmac]\n"


# A company's entry; its headers are no dict.
SHIPS_MORE = """
from types import MappingProxyType
from keyfob.plugin import hookimpl

HEADERS = MappingProxyType({"X-Team": "everybody", "X-Client": "keyfob"})
CORP = {"base_url": "https://shipped.example/v1", "env_key": "SHIPPED_KEY"}

@hookimpl
def keyfob_providers():
    return {"corp": {**CORP, "http_headers": HEADERS, "query_params": {"v": "1"}}}
"""


def reasons(host):
    """Why declarations are not heard, by distribution and name."""
    return {(one.declaration.distribution, one.declaration.name): one.reason for one in host.plugins.refused}


def broken(provider, part="loaded"):
    """The error of an entry whose plugin is broken: its text."""
    with pytest.raises(PluginError) as caught:
        getattr(provider, part)
    assert "acme 1.0" in str(caught.value)
    return str(caught.value)


def test_a_plugin_signs(home, site):
    """From its metadata over its options to its header, and whose code it was."""
    site.install("acme")
    home.environ["KEY"] = "secret"
    provider = home.provider(X)
    assert provider.headers()["X-Key"] == "secret"
    assert (provider.loaded.owner, provider.loaded.file) == ("acme 1.0", str(site.folder / "kf_acme.py"))
    assert provider.state().ready


def test_a_variable_that_is_not_set_is_named_and_no_other_key_is(home, site):
    """What a plugin looked up elsewhere may be a secret."""
    site.install("acme")
    with pytest.raises(MissingCredentialError, match="KEY is not set"):
        home.provider(X).credential()
    site.install("other", PLUGIN.replace("context.environ[options.key_env]", '{}["canary"]'), key="other")
    with pytest.raises(PluginError, match=r"other 1\.0") as caught:
        home.provider(X.replace("hmac", "other")).credential()
    assert "canary" not in str(caught.value)


def test_a_plugin_is_imported_when_an_entry_needs_it(home, site):
    """Listing, routing and other entries do not."""
    site.install("acme")
    host = home.host(X + "[model_providers.y]\nbase_url = 'https://y.example'\n")
    assert host.ids[:2] == ("x", "y")
    assert host.provider("x").route.plugin == "hmac"
    assert host.provider("y").credential().headers == {}
    assert "kf_acme" not in sys.modules
    assert host.provider("x").loaded
    assert "kf_acme" in sys.modules


@pytest.mark.parametrize("key", ["env_key", "auth", "name", "wire_api", "gateway_oauth", "openai", "none"])
def test_reserved_keys_are_refused(home, site, key):
    """What Codex knows, and the names of built-in plugins."""
    site.install("acme", key=key)
    host = home.host("[model_providers.x]\nenv_key = 'A'\n")
    assert reasons(host) == {("acme", key): f"the key `{key}` is reserved"}
    assert host.provider("x").loaded.distribution == "keyfob"


@pytest.mark.parametrize("name", ["openai", "ollama", "lmstudio", "amazon-bedrock", "amazon-bedrock-runtime"])
def test_built_in_ids_are_refused(home, site, name):
    """A plugin cannot move a built-in provider."""
    site.install("acme", key=name, group="keyfob.providers")
    host = home.host("")
    assert reasons(host) == {("acme", name): f"the provider id `{name}` is built in"}
    assert not host.provider(name).entry.settings
    assert "kf_acme" not in sys.modules


def test_two_distributions_with_one_key(home, site):
    """Neither is heard: order must not decide. The allow-list can say who is meant."""
    site.install("acme")
    site.install("beta")
    said = "acme 1.0 and beta 1.0 all declare `hmac`; allow_plugins can leave one out"
    assert reasons(home.host(X)) == {("acme", "hmac"): said, ("beta", "hmac"): said}
    home.write("[keyfob]\nallow_plugins = ['beta']\n", "keyfob.toml")
    assert home.host(X).provider("x").loaded.distribution == "beta"


def test_two_listeners_may_share_a_name(home, site):
    """A name in keyfob.events is any word."""
    site.install("acme", key="log", group="keyfob.events")
    site.install("beta", key="log", group="keyfob.events")
    assert len(home.host("").plugins.accepted) == 2


def test_the_allow_list(home, site):
    """Names of distributions, in any spelling; an empty list allows none; no list allows all."""
    site.install("Acme_Keys")
    for names, heard in (("['acme-keys']", True), ("['ACME.keys']", True), ("['beta']", False), ("[]", False)):
        home.write(f"[keyfob]\nallow_plugins = {names}\n", "keyfob.toml")
        assert bool(home.host(X).plugins.accepted) is heard
    with pytest.raises(PluginError, match="acme-keys is not in allow_plugins"):
        _ = home.host(X).provider("x").route


def test_the_managed_allow_list_cannot_be_widened(home, site):
    """Neither by a user's list, nor by `-c`; a user may narrow it."""
    site.install("acme")
    site.install("beta", key="other")
    (home.system / "managed_keyfob.toml").write_text("[keyfob]\nallow_plugins = ['acme']\n")
    home.write("[keyfob]\nallow_plugins = ['acme', 'beta']\n", "keyfob.toml")
    host = home.host(X, overrides=["keyfob.allow_plugins=['beta']"])
    assert host.plugins.accepted == ()
    assert [one.distribution for one in home.host(X).plugins.accepted] == ["acme"]


def test_an_allow_list_that_cannot_be_read_allows_nothing(home, site):
    """A fault in it is not "no list"."""
    site.install("acme")
    home.write("[keyfob]\nallow_plugins = 'acme'\n", "keyfob.toml")
    with pytest.raises(ConfigError, match="allow_plugins: expected an array"):
        _ = home.host(X).provider("x").route


def test_third_parties_can_be_left_out(home, site):
    """KEYFOB_DISABLE_PLUGINS: built-ins work on; `.env` cannot set it."""
    site.install("acme")
    home.environ["KEYFOB_DISABLE_PLUGINS"] = "1"
    host = home.host(X + "[model_providers.y]\nenv_key = 'A'\n")
    assert host.plugins.accepted == ()
    assert host.provider("y").loaded.distribution == "keyfob"
    with pytest.raises(ConfigError, match="no installed plugin handles `hmac`"):
        _ = host.provider("x").route


def test_a_half_uninstalled_distribution(home, site):
    """Its metadata is gone, so nobody can say what it is."""
    (site.install("acme") / "METADATA").unlink()
    assert reasons(home.host("")) == {("acme", "hmac"): "acme is half uninstalled: its METADATA is gone"}


def test_an_entry_point_with_an_attribute(home, site):
    """The contract says a module."""
    site.declare(site.install("acme"), "[keyfob.auth]\nhmac = kf_acme:Plugin\n")
    assert reasons(home.host("")) == {("acme", "hmac"): "`kf_acme:Plugin` has to be the name of a module"}


HEAD = "from keyfob.plugin import *\n"
BROKEN = {
    "import error": ("import no_such_module_kf", "kf_acme cannot be imported: ModuleNotFoundError: No module named"),
    "syntax": ("(", "kf_acme cannot be imported: SyntaxError"),
    "exit": ("raise SystemExit(3)", "kf_acme cannot be imported: SystemExit: 3"),
    "keyfob error": (HEAD + "from keyfob.plugin import CredentialError\nraise CredentialError('no')",
                     "kf_acme cannot be imported: CredentialError: no"),
    "no hook": ("x = 1", "kf_acme has no keyfob_auth_plugins() that is marked @hookimpl"),
    "unmarked hook": ("def keyfob_auth_plugins(): return []", "that is marked @hookimpl"),
    "unknown hook": (HEAD + "@hookimpl\ndef keyfob_token(): pass", "kf_acme broke: PluginValidationError: unknown"),
    "misspelt hook": (HEAD + "@hookimpl\ndef keyfob_auth_plugin(): return []", "unknown hook 'keyfob_auth_plugin'"),
    "hook with arguments": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(host): return []", "PluginValidationError"),
    "hook raises": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(): 1/0", "kf_acme broke: ZeroDivisionError"),
    "hook exits": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(): raise SystemExit", "kf_acme broke: SystemExit"),
    "hook returns nothing": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(): pass", "and returns something"),
    "hook yields": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(): yield 1", "returned a generator, not a list"),
    "no plugin": (HEAD + "@hookimpl\ndef keyfob_auth_plugins(): return []", "returned no plugin with key `hmac`"),
    "another key": (HEAD + "class P(StaticAuth[NoOptions]): key = 'hmca'\n"
                    "@hookimpl\ndef keyfob_auth_plugins(): return [P()]", "no plugin with key `hmac`, but `hmca`"),
    "no headers": (HEAD + "class P(StaticAuth[NoOptions]):\n  key = 'hmac'\n  def header(self, *_): return {}\n"
                   "@hookimpl\ndef keyfob_auth_plugins(): return [P()]", "the plugin `hmac` has no method headers()"),
    "no mint": (HEAD + "class P(MintingAuth[NoOptions]): key = 'hmac'\n"
                "@hookimpl\ndef keyfob_auth_plugins(): return [P()]", "the plugin `hmac` has no method mint()"),
    "no records": (HEAD + "class P(StoredAuth[NoOptions]): key = 'hmac'\n"
                   "@hookimpl\ndef keyfob_auth_plugins(): return [P()]", "the plugin `hmac` has no method records()"),
    "no signature": (HEAD + "class P(SigningAuth[NoOptions]): key = 'hmac'\n@hookimpl\n"
                     "def keyfob_auth_plugins(): return [P()]", "`hmac` has no method sign() and signing_key()"),
    "a class": (HEAD + "class P(StaticAuth[NoOptions]): key = 'hmac'\n@hookimpl\ndef keyfob_auth_plugins(): return [P]",
                "returned the class P, not an instance of it"),
    "no options": (HEAD + "class P(StaticAuth): key = 'hmac'\n@hookimpl\ndef keyfob_auth_plugins(): return [P()]",
                   "the plugin `hmac` has no pydantic model as its options"),
    "no open": (HEAD + "class P: key = 'hmac'; options = NoOptions\n@hookimpl\ndef keyfob_auth_plugins(): return [P()]",
                "the plugin `hmac` has no method open"),
    "key raises": (HEAD + "class P:\n  @property\n  def key(self): 1/0\n@hookimpl\n"
                   "def keyfob_auth_plugins(): return [P()]", "kf_acme broke: ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_breaks_its_own_entries(home, site, source, says):
    """The error names distribution, version and cause; other entries work, those of other plugins too."""
    site.install("acme", source)
    site.install("beta", key="other")
    host = home.host(X + "[model_providers.y]\nenv_key = 'A'\n[model_providers.z.other]\n")
    assert says in broken(host.provider("x"))
    assert host.provider("y").loaded
    assert host.provider("z").loaded


PARTS = """
from keyfob.plugin import Credential, StaticAuth, hookimpl
from pydantic import BaseModel, field_validator

class Options(BaseModel):
    secret: str = ""

    @field_validator("secret")
    def check(cls, value):
        if value == "raise":
            raise RuntimeError(value)
        if value:
            raise ValueError(f"{value} is bad")
        return value

class Plugin(StaticAuth[Options]):
    key = "hmac"

    def headers(self, options, context):
        return {}

    %s

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]
"""
METHODS = {
    "open raises": ("def open(self, *_): raise ValueError('canary')", "source", "broke in open: ValueError"),
    "open exits": ("def open(self, *_): raise SystemExit('canary')", "source", "broke in open: SystemExit"),
    "open takes too little": ("def open(self): pass", "source", "broke in open: TypeError"),
    "open returns nothing": (
        "def open(self, *_): pass",
        "source",
        "open() of plugin `hmac` returned no CredentialSource",
    ),
    "state returns nothing": ("def state(self, *_): return 'ready'", "state", "returned no State"),
    "state raises": ("def state(self, *_): raise KeyError('canary')", "state", "broke in state: KeyError"),
    "base_url raises": ("def base_url(self, *_): raise OSError('canary')", "base_url", "broke in base_url: OSError"),
    "headers raises": ("def headers(self, *_): raise OSError('canary')", "credential", "no credential: OSError at "),
    "headers returns nothing": (
        "def headers(self, *_): pass",
        "credential",
        "no credential: the headers are of type NoneType, not a mapping of names to values",
    ),
    "headers returns a number": (
        "def headers(self, *_): return {'X-Canary': 5}",
        "credential",
        "no credential: the value of header X-Canary is of type int, not text",
    ),
    "get returns nothing": (
        "def open(self, *_): return type('S', (), {'peek': lambda s: None, 'get': lambda s, rejected=None: None})()",
        "credential",
        "its source returned a NoneType, not a Credential",
    ),
}


@pytest.mark.parametrize(("method", "part", "says"), METHODS.values(), ids=METHODS)
def test_a_plugin_that_breaks_later(home, site, method, part, says):
    """Whatever it raises is a PluginError that names it; the text of what it raised could hold a secret."""
    site.install("acme", PARTS % method)
    text = X if part != "base_url" else "[model_providers.x.hmac]"
    provider = home.provider(text)
    with pytest.raises(PluginError) as caught:
        getattr(provider, part)()  # or a part that is no method raises before
    assert "acme 1.0" in str(caught.value)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "method", "kind"), [("MintingAuth", "mint", "Credential"), ("SigningAuth", "signing_key", "SigningKey")]
)
def test_what_a_plugin_gave_in_place_of_a_credential_is_told(home, site, base, method, kind):
    """By its kind alone."""
    source = (
        PARTS.replace("StaticAuth", base) % f"def {method}(self, *_): return 'canary'\n    def sign(self, *_): pass"
    )
    site.install("acme", source)
    with pytest.raises(PluginError) as caught:
        home.provider(X).credential()
    assert str(caught.value) == f"acme 1.0: no credential: {method}() returned a str, not a {kind}"


def test_where_a_plugin_broke_is_told(home, site):
    """In its own module, not in what it has called; of what was raised, the kind alone."""
    headers = "def headers(self, *_):\n        from packaging.version import Version\n        Version('canary')"
    site.install("acme", PARTS % headers)
    line = PARTS[: PARTS.index("%s")].count("\n") + 3
    with pytest.raises(PluginError) as caught:
        home.provider(X).credential()
    place = f"{site.folder / 'kf_acme.py'}:{line}"
    assert str(caught.value) == f"acme 1.0: no credential: InvalidVersion at {place}"


def test_peek_never_raises(home, site):
    """Then `get` tells what is wrong."""
    site.install("acme", PARTS % "def headers(self, *_): raise OSError('canary')")
    assert home.provider(X).source.peek() is None


def test_a_signer_stays_a_signer(home, site):
    """Its signatures are isolated too."""
    source = PARTS % textwrap.dedent("""
        def open(self, *_):
            return Signer()
    """).replace("\n", "\n    ") + textwrap.dedent("""
        class Signer:
            def peek(self): return Credential({"A": "b"})
            def get(self, *, rejected=None): return self.peek()
            def sign(self, request, credential):
                if request.method == "BAD":
                    raise OSError("canary")
                return {"Signature": request.url} if request.method == "GET" else 1
    """)
    site.install("acme", source)
    signing = home.provider(X).signing

    def sign(method):
        return dict(signing.signer.sign(Unsigned(method, "https://x", {}, b""), signing.get()))

    assert sign("GET") == {"Signature": "https://x"}
    for method, why in [("BAD", "OSError"), ("POST", "the headers are of type int")]:
        with pytest.raises(PluginError, match=rf"acme 1\.0: no signature: {why}"):
            sign(method)


@pytest.mark.parametrize(("secret", "says"), [("canary-5", "secret: is not valid"), ("is", "secret: is not valid")])
def test_a_message_that_repeats_the_value_is_not_repeated(home, site, secret, says):
    """A plugin's own validator may put it there."""
    site.install("acme", PARTS % "pass")
    path = home.write(X + f"secret = '{secret}'\n")
    with pytest.raises(ConfigError) as caught:
        _ = home.host().provider("x").options
    assert str(caught.value) == f'{path}:4: model_providers.x.hmac.{says} (write secret = "")'


def test_a_validator_that_raises_anything(home, site):
    """Is the plugin's fault."""
    site.install("acme", PARTS % "pass")
    with pytest.raises(
        PluginError, match=r"acme 1\.0: plugin `hmac` broke in its options: RuntimeError at .*kf_acme.py:\d+$"
    ):
        _ = home.provider(X + "secret = 'raise'\n").options


def test_a_misspelt_option_is_told(home, site):
    """As any other key that is ignored."""
    site.install("acme")
    path = home.write(X + "key_evn = 'A'\n")
    assert home.host().provider("x").options.key_env == "KEY"
    assert [str(fault) for fault in home.warned] == [
        f"{path}:4: model_providers.x.hmac.key_evn: is not known and is ignored (did you mean `key_env`?)"
    ]


def test_an_array_of_tables_is_no_table_of_options(home, site):
    """It is claimed, and then the model says what it wants."""
    site.install("acme")
    with pytest.raises(ConfigError, match=r"x\.hmac: "):
        _ = home.provider("[[model_providers.x.hmac]]").options


def test_an_unset_variable_is_an_error_to_be_read(home, site):
    """`context.environ[name]`, as plugins write it, and not a KeyError."""
    site.install("acme")
    with pytest.raises(MissingCredentialError) as caught:
        home.provider(X).headers()
    assert str(caught.value) == "KEY is not set"


def test_the_built_in_plugins_are_sound():
    """Each has its key, its options and a state, and belongs to keyfob."""
    plugins = Plugins([])
    for key in MODULES:
        loaded = plugins.load(key)
        assert loaded.plugin.key == key
        assert loaded.distribution == "keyfob"
        assert os.path.isfile(loaded.file)
    with pytest.raises(PluginError, match="no installed plugin handles `other`"):
        plugins.load("other")


def test_the_schemas_of_options(home, site):
    """Of each plugin with a table; one that breaks is left out and told."""
    site.install("acme")
    site.install("beta", "raise OSError", key="other")
    site.install("gamma", PARTS.replace('secret: str = ""', "secret: object = object()") % "pass", key="third")
    tables, errors = home.host("").plugins.schemas()
    assert list(tables) == ["oauth", "hmac"]
    assert set(tables["hmac"]["properties"]) == {"key_env"}
    assert [str(error).partition(":")[0] for error in errors] == ["beta 1.0", "gamma 1.0"]


# Shipped providers


def test_a_shipped_provider(home, site):
    """It is there without configuration, and can be told from the user's."""
    site.install("acme", key="corp", group="keyfob.providers")
    host = home.host("")
    assert host.ids[0] == "corp"
    entry = host.provider("corp").entry
    assert (entry.fields.base_url, entry.fields.env_key) == ("https://shipped.example/v1", "SHIPPED_KEY")
    assert not entry.settings


def test_the_default_may_be_a_shipped_provider(home, site):
    """Nothing but its id is written."""
    site.install("acme", key="corp", group="keyfob.providers")
    provider = home.provider("model_provider = 'corp'\n", None)
    assert (provider.id, str(provider.base_url), provider.plugin) == ("corp", "https://shipped.example/v1", "envkey")


def test_what_neither_leads_nor_authenticates_may_be_overridden_key_by_key(home, site):
    """A name, a header, a query parameter; what the plugin ships beside them stays, whatever mapping it is."""
    site.install("acme", SHIPS_MORE, key="corp", group="keyfob.providers")
    home.write("[model_providers.corp.http_headers]\nX-Team = 'search'\n", "keyfob.toml")
    text = "[model_providers.corp]\nname = 'Mine'\nquery_params = { page = '2' }\n"
    provider = home.provider(text + "env_http_headers = { X-Region = 'REGION' }\n", "corp")
    fields = provider.entry.fields
    assert (fields.name, fields.base_url, fields.env_key) == ("Mine", "https://shipped.example/v1", "SHIPPED_KEY")
    assert fields.http_headers == {"X-Team": "search", "X-Client": "keyfob"}
    assert (fields.query_params, fields.env_http_headers) == ({"v": "1", "page": "2"}, {"X-Region": "REGION"})


def test_explain_tells_what_a_plugin_ships(home, site):
    """Each key with the plugin as its place, and which of them a file overrules."""
    site.install("acme", SHIPS_MORE, key="corp", group="keyfob.providers")
    path = home.write("[model_providers.corp]\nhttp_headers = { X-Team = 'search' }\n")
    found = home.host().provider("corp").explain()
    assert not found.faults
    assert [(each.place, each.key, each.layer, each.wins) for each in found.settings] == [
        (f"{path}:2", "http_headers", "user", True),
        ("plugin acme 1.0", "base_url", "plugin", True),
        ("plugin acme 1.0", "env_key", "plugin", True),
        ("plugin acme 1.0", "http_headers.X-Team", "plugin", False),
        ("plugin acme 1.0", "http_headers.X-Client", "plugin", True),
        ("plugin acme 1.0", "query_params.v", "plugin", True),
    ]


def test_explain_tells_that_nothing_shipped_counts(home, site):
    """Where the user's entry leads elsewhere; a plugin that is broken is no fault of it then."""
    site.install("acme", key="corp", group="keyfob.providers")
    text = "[model_providers.corp]\nbase_url = 'https://mine.example'\n"
    found = home.provider(text, "corp").explain()
    assert [(each.key, each.wins) for each in found.settings if each.layer == "plugin"] == [
        ("base_url", False),
        ("env_key", False),
    ]
    site.install("beta", "raise RuntimeError", key="lab", group="keyfob.providers")
    assert not home.provider(text.replace("corp", "lab"), "lab").explain().faults


def test_two_distributions_with_one_provider(home, site):
    """Neither is heard, and the error names both; other providers are there."""
    for name in ("acme", "beta"):
        site.install(name, key="corp", group="keyfob.providers")
    host = home.host("model_provider = 'corp'\n[model_providers.x]\nbase_url = 'https://x'\n")
    with pytest.raises(PluginError, match=r"acme 1\.0 and beta 1\.0 all declare `corp`; allow_plugins"):
        _ = host.provider().entry
    assert host.ids[:2] == ("x", "lmstudio")
    assert host.provider("x").route.plugin == "none"


@pytest.mark.parametrize(
    "keys",
    ["env_key = 'MINE'", "experimental_bearer_token = 'mine'", "requires_openai_auth = true",
     "auth = { command = 'a' }", "http_headers = { X-Key = 'mine' }",
     "http_headers = { Cookie = 'mine' }", "env_http_headers = { X-Key = 'MINE' }",
     "env_http_headers = { X-PAT = 'MINE' }", "http_headers = { X-Corp-Bearer = 'mine' }",
     "env_http_headers = { X-Team = 'MY_TOKEN' }", "query_params = { key = 'mine' }",
     "base_url = 'https://mine.example'", "hmac = { key = 'mine' }"],
)  # fmt: skip
def test_a_users_key_and_a_plugins_url_are_not_mixed(home, site, keys):
    """Nor the reverse: then the entry is the user's own, and the plugin is not even imported."""
    site.install("acme", "raise RuntimeError", key="corp", group="keyfob.providers")
    provider = home.provider(f"[model_providers.corp]\n{keys}\n", "corp")
    fields = provider.entry.fields
    assert (fields.base_url, fields.env_key) in {(None, None), (None, "MINE"), ("https://mine.example", None)}


@pytest.mark.parametrize(
    ("keys", "told"),
    [("env_key = 'MINE'", "env_key"), ("http_headers = { X-Team = 'a', Cookie = 'b' }", r"http_headers\.Cookie")],
)
def test_a_base_url_that_is_withheld_is_told(home, site, keys, told):
    """Or who sets the key alone would look in vain for why the plugin's base URL is not taken."""
    site.install("acme", "raise RuntimeError", key="corp", group="keyfob.providers")
    with pytest.raises(ConfigError, match=rf"no base_url .*that of acme 1\.0 is not for an entry that sets {told}\)"):
        _ = home.provider(f"[model_providers.corp]\n{keys}\n", "corp").base_url


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise SystemExit", "kf_acme cannot be imported: SystemExit"),
        ("x = 1", "kf_acme has no keyfob_providers()"),
        (HEAD + "@hookimpl\ndef keyfob_providers(): return []", "has no entry `corp`"),
        (HEAD + "@hookimpl\ndef keyfob_providers(): return {'other': {}}", "has no entry `corp`"),
        (HEAD + "@hookimpl\ndef keyfob_providers(): return {'corp': 5}", "has no entry `corp`"),
    ],
)
def test_a_broken_shipped_provider(home, site, source, says):
    """Is an error of that provider alone."""
    site.install("acme", source, key="corp", group="keyfob.providers")
    host = home.host("[model_providers.x]\n")
    assert host.ids[:2] == ("x", "corp")
    assert says in broken(host.provider("corp"), "entry")
    assert host.provider("x").entry


def test_a_fault_in_a_shipped_entry_names_the_plugin(home, site):
    """There is no file of the user's to look into."""
    source = HEAD + "@hookimpl\ndef keyfob_providers(): return {'corp': {'base_url': 5}}"
    site.install("acme", source, key="corp", group="keyfob.providers")
    with pytest.raises(ConfigError, match=r"^plugin acme 1\.0: model_providers\.corp\.base_url: expected a string"):
        _ = home.host("").provider("corp").entry


# Where code is taken from


def prelude(folder):
    """What makes `folder` the site folder of a fresh interpreter, before those it has."""
    return (
        "import site, sys\nbefore = sys.path[:]\nreal = site.getsitepackages()[0]\n"
        f"sys.path[:] = sys.path[:sys.path.index(real)]\nsite.addsitedir({str(folder)!r})\n"
        f"sys.path += [one for one in before if one not in sys.path]\n"
        f"site.getsitepackages = lambda: [{str(folder)!r}]\n"
    )


def run_with_plugins(folder, code, *, cwd):
    """Run code in a fresh interpreter with that site folder; returns what it printed."""
    command = [sys.executable, "-s", "-c", prelude(folder) + code]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
from keyfob.routing.plugins import Plugins
from keyfob.routing.installed import declarations, metadata_files
from keyfob.config.places import site_folders
from keyfob.errors import PluginError
try:
    print(Plugins(declarations(metadata_files(site_folders()))).load("hmac").file)
except PluginError as error:
    print("refused:", error)
"""


@pytest.fixture
def project(tmp_path):
    """A current folder in which things lie about."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def stray(project, name="kf_acme.py"):
    """A module that says that it was run."""
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("print('STRAY WAS RUN')\n")


@pytest.mark.slow
def test_the_installed_module_is_loaded(site, project):
    """Nothing lies in the way."""
    site.install("acme")
    assert run_with_plugins(site.folder, LOAD, cwd=project) == f"{site.folder}/kf_acme.py\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kf_acme.py", "kf_acme/__init__.py"])
@pytest.mark.parametrize("uninstalled", [False, True])
def test_a_stray_module_is_not_run(site, project, name, uninstalled):
    """Python would have taken it from the current folder; it is refused, not run."""
    site.install("acme")
    if uninstalled:
        (site.folder / "kf_acme.py").unlink()
    stray(project, name)
    said = run_with_plugins(site.folder, LOAD, cwd=project)
    assert said == (f"refused: acme 1.0: kf_acme would be imported from {project}/{name}, where nothing is installed\n")


@pytest.mark.slow
def test_a_stray_part_of_a_namespace_is_not_run(site, project):
    """The package has no file of its own; what it holds is looked at."""
    site.install("acme", module="kf_acme.plugin")
    assert run_with_plugins(site.folder, LOAD, cwd=project) == f"{site.folder}/kf_acme/plugin.py\n"
    stray(project, "kf_acme/plugin.py")
    assert run_with_plugins(site.folder, LOAD, cwd=project).startswith("refused: acme 1.0: kf_acme.plugin would be")


@pytest.mark.slow
def test_a_stray_module_beside_the_script_is_not_run(site, project):
    """sys.path[0] is the script's folder."""
    site.install("acme")
    stray(project)
    (project / "script.py").write_text(prelude(site.folder) + LOAD)
    done = subprocess.run([sys.executable, project / "script.py"], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.stdout.startswith("refused: acme 1.0: kf_acme would be imported from")


@pytest.mark.slow
def test_a_plugin_under_development_in_the_current_folder(site, project):
    """Installed editably by a .pth, which is how most tools do it, it is no stray."""
    site.install("acme", code=project)
    (site.folder / "acme.pth").write_text(f"{project}\n")
    assert run_with_plugins(site.folder, LOAD, cwd=project) == f"{project}/kf_acme.py\n"


FINDER = """
import sys
from importlib.util import spec_from_file_location

class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return spec_from_file_location(name, "%s") if name == "kf_acme" else None

sys.meta_path.append(Finder)
"""


@pytest.mark.slow
def test_a_plugin_under_development_that_a_finder_knows(site, project):
    """Setuptools' other way: an import hook instead of a path."""
    site.install("acme", code=project)
    (site.folder / "acme_finder.py").write_text(FINDER % (project / "kf_acme.py"))
    (site.folder / "acme.pth").write_text("import acme_finder\n")
    assert run_with_plugins(site.folder, LOAD, cwd=project) == f"{project}/kf_acme.py\n"


@pytest.mark.slow
def test_a_deleted_current_folder(site, project):
    """Nothing can lie in it, and nothing breaks."""
    site.install("acme")
    # (Python 3.13.0 cannot import compiled modules from there at all.)
    code = f"import os, pydantic\nos.rmdir({str(project)!r})\n{LOAD}"
    assert run_with_plugins(site.folder, code, cwd=project) == f"{site.folder}/kf_acme.py\n"


def test_a_credential_error_of_a_plugin_stays_what_it_is(home, site):
    """By its contract it may raise one."""
    site.install("acme", PARTS % "def headers(self, *_):\n        from keyfob.plugin import CredentialError\n"
                                 "        raise CredentialError('no card in the reader')")  # fmt: skip
    with pytest.raises(CredentialError, match="no card in the reader"):
        home.provider(X).credential()
