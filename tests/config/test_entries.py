"""Entries: what a provider's table came to, and the faults in it, each at its place."""

from __future__ import annotations

import pytest
import tomli

from keyfob.config.faults import toml, toml_key
from keyfob.errors import ConfigError, UnknownProviderError


def faults_of(provider):
    """The faults that stop a provider's entry, as they are shown."""
    with pytest.raises(ConfigError) as caught:
        _ = provider.entry
    assert caught.value.exit_code == 2
    return [str(fault) for fault in caught.value.faults]


def test_an_entry_is_merged_of_all_layers(home):
    """keyfob.toml adds what Codex does not know; each key is known by its place."""
    home.write('[model_providers.x]\nbase_url = "https://x.example"\nallow_http = true\n', "keyfob.toml")
    entry = home.provider('[model_providers.x]\nname = "X"\nbase_url = "https://y.example"\n').entry
    assert (entry.fields.name, entry.fields.base_url, entry.fields.allow_http) == ("X", "https://x.example", True)
    places = [(setting.key, setting.place.rpartition("/")[2], setting.wins) for setting in entry.settings]
    assert places == [
        ("base_url", "keyfob.toml:2", True),
        ("allow_http", "keyfob.toml:3", True),
        ("name", "config.toml:2", True),
        ("base_url", "config.toml:3", False),
    ]
    assert home.warned == []


def test_an_override_has_no_line(home):
    """Its place is `-c`."""
    entry = home.provider("", overrides=["model_providers.x.name=X"]).entry
    assert [setting.place for setting in entry.settings] == ["-c"]
    assert entry.settings


@pytest.mark.parametrize(
    ("line", "wrong", "write"),
    [
        ("base_url = 5", "base_url: expected a string, found an integer", 'base_url = "https://llm.example.com/v1"'),
        ("env_key = ['A']", "env_key: expected a string, found an array", 'env_key = "LAB_KEY"'),
        ("env_key = ''", "env_key: must not be empty", 'env_key = "LAB_KEY"'),
        ("requires_openai_auth = 'yes'", "requires_openai_auth: expected true or false, found a string",
         "requires_openai_auth = false"),
        ("requires_openai_auth = 1", "requires_openai_auth: expected true or false, found an integer",
         "requires_openai_auth = false"),
        ("request_max_retries = 1.5", "request_max_retries: expected an integer, found a number",
         "request_max_retries = 4"),
        ("request_max_retries = -1", "request_max_retries: must be greater than or equal to 0",
         "request_max_retries = 4"),
        ("name = 2020-01-01", "name: expected a string, found a date or time", None),
        ("auth = 'token'", "auth: expected a table, found a string", None),
        ("auth = {}", "auth.command: is missing", 'command = "corp-token"'),
        ("auth = { command = ' ' }", "auth.command: must not be empty", 'command = "corp-token"'),
        ("auth = { command = 'a', args = 'b' }", "auth.args: expected an array, found a string",
         'args = ["--audience", "llm"]'),
        ("auth = { command = 'a', args = [1] }", "auth.args.0: expected a string, found an integer",
         'args = ["--audience", "llm"]'),
        ("auth = { command = 'a', timeout_ms = 0 }", "auth.timeout_ms: must be greater than 0", "timeout_ms = 5000"),
        ("auth = { command = 'a', refresh_interval_ms = -1 }",
         "auth.refresh_interval_ms: must be greater than or equal to 0", "refresh_interval_ms = 300000"),
        ("http_headers = { A = 1 }", "http_headers.A: expected a string, found an integer",
         'http_headers = { X-Team = "search" }'),
        ('http_headers."a.b\\n" = []', 'http_headers."a.b\\n": expected a string, found an array',
         'http_headers = { X-Team = "search" }'),
        ("env_http_headers = []", "env_http_headers: expected a table, found an array",
         'env_http_headers = { X-Key = "LAB_KEY" }'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_placed_and_mended(home, line, wrong, write):
    """File, line, provider, key, what is wrong, and what to write; not what was written."""
    path = home.write(f"# one\n[model_providers.x]\n{line}\n")
    instead = f" (write {write})" if write else ""
    assert faults_of(home.host().provider("x")) == [f"{path}:3: model_providers.x.{wrong}{instead}"]


@pytest.mark.parametrize("key", ["http_headers", "query_params"])
def test_a_date_among_what_is_added_is_a_text(home, key):
    """TOML takes `2024-10-21` for a date, Codex sends it as it stands there; a time is no text of one form."""
    entry = home.provider(f"[model_providers.x]\n{key} = {{ api-version = 2024-10-21 }}\n").entry
    assert getattr(entry.fields, key) == {"api-version": "2024-10-21"}
    (fault,) = faults_of(home.provider(f"[model_providers.x]\n{key} = {{ a = 2024-10-21T10:00:00 }}\n"))
    assert "expected a string, found a date or time" in fault


def test_every_fault_of_the_files_is_told_at_once(home):
    """Those of the entry that was asked for first; then top-level keys, then the others."""
    path = home.write(
        "openai_base_url = 1\nmodel_provider = 2\n[model_providers]\nz = 3\n[model_providers.y]\nname = 4\n"
        "[model_providers.x]\nname = 5\nenv_key = 6\n[model_providers.ollama]\n[model_providers.ok]\nname = ''\n"
    )
    rules = home.write("[keyfob]\nallow_plugins = 7\n", "keyfob.toml")
    found = [fault.partition(" expected")[0].partition(" (")[0] for fault in faults_of(home.host().provider("x"))]
    assert found == [
        f"{path}:8: model_providers.x.name:",
        f"{path}:9: model_providers.x.env_key:",
        f"{path}:2: model_provider:",
        f"{path}:1: openai_base_url:",
        f"{rules}:2: keyfob.allow_plugins:",
        f"{path}:4: model_providers.z:",
        f"{path}:6: model_providers.y.name:",
        f"{path}:10: model_providers.ollama: built-in providers cannot be redefined",
    ]


def test_a_fault_in_one_provider_does_not_stop_another(home):
    """Nor does one in a top-level key that is not needed."""
    host = home.host("openai_base_url = 1\n[model_providers]\nz = 1\nx.name = 'X'\ny.name = 2\n")
    assert host.provider("x").entry.fields.name == "X"
    assert host.ids[:3] == ("z", "x", "y")
    for broken in ("z", "y", "openai"):
        assert faults_of(host.provider(broken))


@pytest.mark.parametrize("value", ["0", "5", "''", "'x'", "false", "[]", "[1]", "1.5"])
def test_a_provider_that_is_no_table(home, value):
    """Whatever it is instead."""
    path = home.write(f"model_providers.x = {value}")
    assert faults_of(home.host().provider("x")) == [
        f"{path}:1: model_providers.x: expected a table (write [model_providers.x])"
    ]
    configuration = home.host().configuration
    assert (configuration.decides("x"), configuration.deciding("x")) == (True, ())


def test_providers_that_are_no_table(home):
    """There is no provider to blame."""
    path = home.write("model_providers = 5")
    assert faults_of(home.host().provider("x"))[0] == (
        f"{path}:1: model_providers: expected a table (write [model_providers.<id>])"
    )


@pytest.mark.parametrize("built_in", ["openai", "ollama", "lmstudio"])
def test_a_built_in_provider_cannot_be_redefined(home, built_in):
    """As in Codex; the fault says how to name it."""
    (fault,) = faults_of(home.provider(f"[model_providers.{built_in}]", built_in))
    assert f"rename it, for example to {built_in}-custom" in fault


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.b", '"a.b"'), ("my corp", '"my corp"'), ("😀", '"😀"'), ('say "x"', r'"say \"x\""'), ("", '""'),
     ("a\nb\x9b", r'"a\nb\U0000009b"'), ("über", '"über"'), ("a-b_1", "a-b_1")],
)  # fmt: skip
def test_any_id_is_an_id(home, name, shown):
    """Dots, blanks, quotes, emoji, control characters: it is found, and shown as TOML writes it."""
    assert toml_key(name) == shown
    host = home.host(f"[model_providers.{shown}]\nname = 'X'\nenv_key = 5\n")
    assert host.ids[0] == name
    (fault,) = faults_of(host.provider(name))
    assert f":3: model_providers.{shown}.env_key: expected a string" in fault


def test_an_unknown_scalar_is_told_once_with_what_was_meant(home):
    """It is ignored, in the entry and in its `auth` table."""
    path = home.write(
        "[model_providers.x]\nenv_keys = 'A'\nzzz = 1\n[model_providers.x.auth]\ncommand = 'a'\ntimeout = 5\n"
    )
    host = home.host()
    for _ in range(2):
        assert host.provider("x").entry.scalars == ("env_keys", "zzz")
    assert [str(fault) for fault in home.warned] == [
        f"{path}:2: model_providers.x.env_keys: is not known and is ignored (did you mean `env_key`?)",
        f"{path}:3: model_providers.x.zzz: is not known and is ignored",
        f"{path}:6: model_providers.x.auth.timeout: is not known and is ignored (did you mean `timeout_ms`?)",
    ]


def test_what_is_ignored_in_another_entry_is_not_told(home):
    """A warning is for who uses the entry."""
    home.host("[model_providers.x]\n[model_providers.y]\nzzz = 1\n").provider("x").entry  # noqa: B018
    assert home.warned == []


def test_tables_are_told_from_scalars(home):
    """What a plugin may claim is a table, or an array of them."""
    text = "[model_providers.x]\na = 1\nb = []\nc = [1]\n[[model_providers.x.d]]\n[model_providers.x.e]\n"
    entry = home.provider(text).entry
    assert set(entry.tables) == {"d", "e"}
    assert entry.scalars == ("a", "b", "c")


def test_an_unknown_provider(home):
    """The nearest id, and the files that were looked in."""
    path = home.write("[model_providers.corp]\n")
    with pytest.raises(UnknownProviderError) as caught:
        _ = home.host().provider("crop").entry
    assert str(caught.value) == f"there is no provider 'crop' in {path}"
    assert caught.value.hint == "did you mean `corp`?"
    (home.folder / "config.toml").unlink()
    with pytest.raises(UnknownProviderError, match=r"in the files, for there are none$"):
        _ = home.host().provider("z").entry


def test_a_default_that_there_is_not(home):
    """The line that names it."""
    path = home.write('a = 1\nmodel_provider = "crop"\n[model_providers.corp]\n')
    with pytest.raises(UnknownProviderError) as caught:
        _ = home.host().provider().entry
    assert str(caught.value) == f"{path}:2: model_provider: there is no provider 'crop' (did you mean `corp`?)"
    assert caught.value.hint == "keyfob providers"  # the sentence says what was meant


def test_the_default_is_openai(home):
    """As in Codex, where no file names one."""
    assert home.host("").default_id == "openai"
    assert home.host('model_provider = "x"').default_id == "x"
    with pytest.raises(ConfigError, match="model_provider: must not be empty"):
        _ = home.host('model_provider = ""').default_id


def test_a_profile_chosen_in_a_file(home):
    """Codex refuses to start; here what would have used it stops, and nothing else does."""
    path = home.write('profile = "work"\n[model_providers.x]\n[profiles.work]\nmodel_provider = "x"\n')
    with pytest.raises(ConfigError) as caught:
        _ = home.host().default_id
    assert str(caught.value) == (
        f"{path}:1: profile: is not read any more (remove it, and give --profile NAME, which reads NAME.config.toml)"
    )
    assert home.host().provider("x").entry.id == "x"


def test_openai_can_be_moved(home):
    """`openai_base_url`; empty is as if it were not there; a fault in it is placed there."""
    assert home.host("").provider("openai").entry.fields.base_url is None
    assert home.host('openai_base_url = ""').provider("openai").entry.fields.base_url is None
    path = home.write('\nopenai_base_url = "ftp://x"')
    with pytest.raises(ConfigError) as caught:
        _ = home.host().provider("openai").base_url
    assert str(caught.value).startswith(f"{path}:2: model_providers.openai.base_url: must begin with https://")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://localhost:11434/v1"),
        ({"CODEX_OSS_PORT": " 5 "}, "http://localhost:5/v1"),
        ({"CODEX_OSS_PORT": "65536"}, "http://localhost:11434/v1"),
        ({"CODEX_OSS_PORT": "9" * 5000}, "http://localhost:11434/v1"),
        ({"CODEX_OSS_PORT": "²"}, "http://localhost:11434/v1"),
        ({"CODEX_OSS_PORT": "5", "CODEX_OSS_BASE_URL": "http://box:1"}, "http://box:1"),
        ({"CODEX_OSS_BASE_URL": " "}, "http://localhost:11434/v1"),
    ],
)
def test_local_servers_can_be_moved(home, environ, url):
    """By two variables, as in Codex; what is no port is passed over."""
    home.environ.update(environ)
    assert home.provider("", "ollama").entry.fields.base_url == url


def test_a_fault_in_a_variable_names_it(home):
    """The base URL of a built-in provider stands in no file."""
    home.environ["CODEX_OSS_BASE_URL"] = "http://user:pw@box"
    with pytest.raises(
        ConfigError, match=r"^environment variable CODEX_OSS_BASE_URL: model_providers\.ollama\.base_url"
    ):
        _ = home.provider("", "ollama").base_url


def test_bedrock_is_known(home):
    """Its two ids are there, may be extended, and need a plugin."""
    entry = home.provider('[model_providers.amazon-bedrock]\nbase_url = "https://x"\n', "amazon-bedrock").entry
    assert entry.fields.name == "Amazon Bedrock"
    assert entry.tables == {"aws": {}}


def test_what_is_missing_is_placed_at_the_table_it_belongs_in(home):
    """Which may stand in another file than the rest of the entry."""
    path = home.write("[model_providers.x]\n[model_providers.x.auth]\n")
    home.write("\n\n\n[model_providers.x]\nallow_http = true", "keyfob.toml")
    assert faults_of(home.host().provider("x")) == [
        f'{path}:2: model_providers.x.auth.command: is missing (write command = "corp-token")'
    ]


def test_a_misspelt_rule_is_a_fault(home):
    """`allow_plugin` that only warned would allow every plugin."""
    path = home.write("[keyfob]\nallow_plugin = []\n", "keyfob.toml")
    with pytest.raises(ConfigError) as caught:
        _ = home.host().configuration.allowed_plugins
    assert str(caught.value) == f"{path}:2: keyfob.allow_plugin: is not known (did you mean `allow_plugins`?)"


def test_the_allow_lists_in_force(home):
    """The user's merged one and the managed one; each has to agree."""
    home.write('[keyfob]\nallow_plugins = ["A", "b"]\n', "keyfob.toml")
    (home.system / "keyfob.toml").write_text('[keyfob]\nallow_plugins = ["c"]\n')
    assert home.host().configuration.allowed_plugins == ({"A", "b"},)
    (home.system / "managed_keyfob.toml").write_text("[keyfob]\nallow_plugins = []\n")
    assert home.host().configuration.allowed_plugins == (set(), {"A", "b"})


@pytest.mark.slow
def test_ten_thousand_providers(home):
    """Each can be asked for; a fault in the last does not stop the first."""
    tables = "".join(f"[model_providers.p{number}]\nenv_key = 'K'\n" for number in range(10_000))
    host = home.host(tables + "[model_providers.last]\nenv_key = 5\n")
    assert len(host.configuration.user_ids) == 10_001
    assert host.provider("p9999").entry.fields.env_key == "K"
    assert ":20002: " in faults_of(host.provider("last"))[0]


def test_a_key_in_the_place_of_a_variables_name_is_not_shown(home):
    """The slip is said without the key, which would stand in every message about the variable."""
    text = '[model_providers.x]\nbase_url = "https://x.example"\nenv_key = "sk-canary"\n'
    with pytest.raises(ConfigError, match="is not the name of an environment variable") as caught:
        _ = home.provider(text, "x").entry
    assert "sk-canary" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["\N{GRINNING FACE}", 'a\u202e\x7f\n"\\', [{"a": 1}, {"b c": [True]}], {}, False, -5, 1e30]
)
def test_a_value_is_written_as_toml_reads_it(value):
    """And fit to be printed."""
    written = toml(value)
    assert written.isprintable()
    assert tomli.loads(f"a = {written}") == {"a": value}
