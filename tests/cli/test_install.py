"""`keyfob install` and `uninstall`: files of other programs are edited to the byte, and nothing is lost or shown."""

from __future__ import annotations

import json
import os
import sys

import pytest
import yaml

from keyfob.cli.installing import command, edits
from keyfob.cli.installing.installations import Installations

from ..homes import PLUGIN  # noqa: TID252
from ..homes import site as site  # noqa: TID252
from .signing import pipe

SECRET = "sk-canary-secret"
BASE = "https://llm.example.com/v1"
CONFIG = f"""\
# my Codex
model_provider = "corp"

[mcp_servers.x]
env = {{ TOKEN = "{SECRET}" }}

[model_providers.corp]
name = 'Our proxy' # not {SECRET}
base_url = "{BASE}"
env_key = "CORP_KEY" # the team has it
http_headers = {{ "X-Team" = "{SECRET}" }}

# and more
[model_providers.corp.query_params]
a = "1"

[features]
apps = false"""
OTHERS = f"""\
[model_providers.corp]
base_url = "{BASE}"
experimental_bearer_token = "{SECRET}"
"""


@pytest.fixture
def keyfob(keyfob, monkeypatch):
    """keyfob, as if it was started by the script of another environment."""
    script = f"{keyfob.folder}/bin/keyfob"
    os.mkdir(os.path.dirname(script))
    open(script, "w").close()
    monkeypatch.setattr(sys, "argv", [script])
    keyfob.environ["CORP_KEY"] = "k"
    return keyfob


def path(keyfob, name="config.toml"):
    return f"{keyfob.home}/{name}"


def put(place, text):
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(text.encode())
    return place


def got(place):
    with open(place, "rb") as file:
        return file.read().decode()


def install(keyfob, *words, code=0):
    said = keyfob("install", *words, "--yes")
    assert said.code == code, said.err
    assert SECRET not in said.out + said.err
    return said


def uninstall(keyfob, *words, code=0):
    said = keyfob("uninstall", *words, "--yes")
    assert said.code == code, said.err
    assert SECRET not in said.out + said.err
    return said


# Codex


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text + "\n\n",
        lambda text: text.replace(
            "env_key = ", "experimental_bearer_token='sk-2'\nrequires_openai_auth = true\nenv_key = "
        ),
        lambda text: text.replace("[model_providers.corp]", '[ model_providers . "corp" ]'),
        lambda text: text.replace('"1"', '"""\n[model_providers.corp]\nenv_key = 1"""'),
        lambda text: text.replace('"CORP_KEY"', '"CORP_KEY"\n# \u2028 \x85 \U0001f511'),
        lambda text: text.replace("false", "[nan]"),
    ],
    ids=["plain", "crlf", "mark", "three ways", "spelt oddly", "text that looks like it", "odd letters", "no number"],
)
def test_codexs_files_are_edited_and_restored_to_the_byte(keyfob, change):
    """Whatever they look like: keyfob reads the same entry, and Codex one that it does not refuse."""
    text = change(CONFIG)
    put(path(keyfob), text)
    before = keyfob("explain", "corp", "--json").out
    install(keyfob, "codex", "corp", "--anyway")
    edited = got(path(keyfob))
    assert [line for line in text.split("\n") if line not in edited.split("\n")] == [
        line for line in text.split("\n") if line.startswith(('env_key = "', "experimental", "requires"))
    ]
    host = json.loads(keyfob("explain", "corp", "--json").out)
    assert host["plugin"] == json.loads(before)["plugin"]
    assert "auth" in {claim["key"] for claim in host["claims"] if claim["ignored"]}
    install(keyfob, "codex", "corp", "--anyway")
    assert got(path(keyfob)) == edited
    uninstall(keyfob, "codex")
    assert got(path(keyfob)) == text
    assert not os.path.exists(path(keyfob, "keyfob.toml"))
    assert not os.path.exists(f"{keyfob.home}/keyfob/installed/codex")


def test_what_a_plugin_ships_is_written_into_both_files(keyfob, site):
    """From then on the files decide, and a plugin's defaults count no more: both halves are whole."""
    site.install("acme", key="acme", group="keyfob.providers")
    keyfob.environ["SHIPPED_KEY"] = "k"
    install(keyfob, "codex", "acme")
    assert 'base_url = "https://shipped.example/v1"' in got(path(keyfob))
    assert got(path(keyfob, "keyfob.toml")) == '[model_providers.acme]\nenv_key = "SHIPPED_KEY"\n'
    assert keyfob("token", "acme").out == "k\n"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ('env_key = "CORP_KEY"', "Codex reads `env_key` of corp itself"),
        ("requires_openai_auth = true", "Codex reads `requires_openai_auth` of corp itself"),
        ('auth = { command = "corp-token" }', "Codex runs the command of `auth` itself"),
        ("", "corp is sent no credential"),
    ],
)
def test_where_codex_needs_no_help_it_is_said_and_nothing_changed(keyfob, entry, sentence):
    """A sentence, not an edit."""
    put(path(keyfob), f'[model_providers.corp]\nbase_url = "{BASE}"\n{entry}\n')
    assert sentence in install(keyfob, "codex", "corp").err
    assert not os.path.exists(path(keyfob, "keyfob"))


def test_a_key_that_keyfob_stores_is_none_that_codex_can_read(keyfob, monkeypatch):
    """`env_key` without its variable, and a key stored by `keyfob login`: Codex has to ask."""
    put(path(keyfob), CONFIG)
    del keyfob.environ["CORP_KEY"]
    pipe(monkeypatch, "sk-stored")
    assert keyfob("login", "corp", "--with-api-key").code == 0
    install(keyfob, "codex", "corp")
    assert "env_key" not in got(path(keyfob))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config.toml": f'model_providers.corp = {{ base_url = "{BASE}", env_key = "CORP_KEY" }}'}, "config.toml:1"),
        ({"config.toml": "a = \n"}, "config.toml:1:5: not valid TOML"),
        (
            {"config.toml": CONFIG, "keyfob.toml": '[model_providers.corp]\nbase_url = "https://other.example/"'},
            "keyfob.toml:2: model_providers.corp.base_url: Codex does not read this, and would send the token",
        ),
        ({"config.toml": f'[model_providers.corp]\nbase_url = "{BASE}"\n[model_providers.corp.hmac]\n'}, "X-Key"),
    ],
    ids=["in braces", "broken", "another base URL", "no bearer token"],
)
def test_what_cannot_be_done_is_told_with_its_place_and_nothing_changed(keyfob, site, files, words):
    """Above all no token is sent to where its provider is not."""
    site.install("other", key="hmac")
    keyfob.environ["KEY"] = "k"
    for name, text in files.items():
        put(path(keyfob, name), text)
    assert words in install(keyfob, "codex", "corp", "--anyway", code=2).err
    assert {name: got(path(keyfob, name)) for name in files} == files


def test_a_plugins_table_is_none_of_codexs(keyfob, site):
    """Wherever it stands, Codex has to ask; and it stays where it is."""
    site.install("other", key="hmac", source=PLUGIN.replace('"X-Key": ', '"Authorization": "Bearer " + '))
    keyfob.environ["KEY"] = "k"
    text = f'[model_providers.corp]\nbase_url = "{BASE}"\nname = "C"\n\n[model_providers.corp.hmac]\n'
    put(path(keyfob), text)
    install(keyfob, "codex", "corp")
    assert got(path(keyfob)).startswith(text[: text.index("\n\n")])
    assert "[model_providers.corp.hmac]" in got(path(keyfob))
    assert keyfob("explain", "corp", "--json").code == 0
    uninstall(keyfob, "codex")
    assert got(path(keyfob)) == text


def test_several_headers_are_no_token(keyfob, site):
    """Codex would get none, and send its requests without."""
    site.install("other", key="hmac", source=PLUGIN.replace('{"X-Key"', '{"X-Org": "1", "Authorization"'))
    keyfob.environ["KEY"] = "k"
    put(path(keyfob), f'[model_providers.corp]\nbase_url = "{BASE}"\nhmac = {{}}\n')
    assert (
        "by X-Org, Authorization, and Codex's command sends a bearer token"
        in install(keyfob, "codex", "corp", code=2).err
    )


def test_whoever_is_sent_nothing_is_not_asked_for(keyfob):
    """A local model's server: `keyfob token` would print nothing."""
    assert "ollama is sent no credential" in install(keyfob, "claude-code", "ollama", code=2).err
    assert not os.path.exists(settings(keyfob))


@pytest.mark.parametrize("option", [("-p", "work"), ("-c", "model_providers.corp.env_key='K'")])
def test_what_the_command_will_not_have_is_refused(keyfob, option):
    """Whoever asks gets the entry of the files alone, which may be another one."""
    put(path(keyfob), CONFIG)
    put(path(keyfob, "work.config.toml"), "")
    assert "no -p and no -c" in install(keyfob, "codex", "corp", *option, code=2).err


def test_the_command_says_which_home_the_entry_is_in(keyfob):
    """Another program may be started without CODEX_HOME: it must not get another entry's token for this server."""
    put(path(keyfob), OTHERS)
    keyfob.environ["CODEX_HOME"] = keyfob.home
    install(keyfob, "claude-code", "corp")
    helper = json.loads(got(settings(keyfob)))["apiKeyHelper"]
    assert helper == f"CODEX_HOME={keyfob.home} {keyfob.folder}/bin/keyfob token corp"
    install(keyfob, "kubectl", "corp")
    (user,) = yaml.safe_load(got(f"{keyfob.folder}/.kube/config"))["users"]
    assert user["user"]["exec"]["env"] == [{"name": "CODEX_HOME", "value": keyfob.home}]


def test_nobody_there_to_be_asked_changes_nothing(keyfob):
    """Nor does --dry-run; the difference is shown, as JSON too."""
    put(path(keyfob), CONFIG)
    assert "→ keyfob install codex corp --anyway --yes" in keyfob("install", "codex", "corp", "--anyway").err
    assert (
        "→ keyfob install kubectl corp --user 'an other'"
        in keyfob("install", "kubectl", "corp", "--user", "an other").err
    )
    for words, code in (((), 2), (("--dry-run",), 0), (("--json", "--dry-run"), 0)):
        said = keyfob("install", "codex", "corp", "--anyway", *words)
        assert (said.code, "+args = " in said.out.replace("\\", "")) == (code, True)
        assert "nothing was changed" in said.err
        assert SECRET not in said.out
        assert os.listdir(keyfob.home) == ["config.toml"]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_that_only_gets_its_end_is_still_somebody_elses(keyfob, end):
    """What keyfob writes is shown; the same keys of another program are not, whatever the difference takes them for."""
    text = f'[mcp_servers.x]\ncommand = "x"\nargs = ["--api-key", "{SECRET}"]{end}'
    put(path(keyfob), text)
    put(path(keyfob, "keyfob.toml"), OTHERS)
    assert '+args = ["token", "corp"' in install(keyfob, "codex", "corp").out
    assert '-args = ["token", "corp"' in uninstall(keyfob, "codex").out
    assert got(path(keyfob)) == text


# Taking back


def test_what_was_edited_since_is_kept(keyfob):
    """Only what was added goes, whatever stands around it now."""
    put(path(keyfob), CONFIG)
    put(path(keyfob, "keyfob.toml"), "# mine\n")
    install(keyfob, "codex", "corp", "--anyway")
    put(path(keyfob), got(path(keyfob)).replace("apps = false", "apps = true") + "\nweb = 1\n")
    put(path(keyfob, "keyfob.toml"), "[keyfob]\nallow_plugins = []\n" + got(path(keyfob, "keyfob.toml")))
    uninstall(keyfob, "codex", "corp")
    assert got(path(keyfob)) == CONFIG.replace("apps = false", "apps = true") + "\nweb = 1\n"
    assert got(path(keyfob, "keyfob.toml")) == "[keyfob]\nallow_plugins = []\n# mine\n"


def test_what_was_edited_in_its_own_lines_is_left_and_shown(keyfob):
    """Both files stay as they are; once somebody has taken it back by hand, nothing is left to do."""
    put(path(keyfob), CONFIG)
    install(keyfob, "codex", "corp", "--anyway")
    edited = put(path(keyfob), got(path(keyfob)).replace("60000", "90000"))
    both = got(edited), got(path(keyfob, "keyfob.toml"))
    said = uninstall(keyfob, "codex", code=2)
    assert "cannot be taken back exactly" in said.err
    assert "(model_providers.corp.auth.timeout_ms), and cannot be taken back exactly" in said.err
    assert "-timeout_ms = 60000" in said.out
    assert (got(edited), got(path(keyfob, "keyfob.toml"))) == both
    put(path(keyfob), CONFIG)
    os.unlink(path(keyfob, "keyfob.toml"))
    uninstall(keyfob, "codex")
    assert "nothing is installed" in uninstall(keyfob, "codex").err


def test_a_key_that_somebody_added_to_what_was_written_is_not_moved_elsewhere(keyfob):
    """Without the header above it, it would belong to another table."""
    put(path(keyfob), CONFIG)
    put(path(keyfob, "keyfob.toml"), "[keyfob]\n")
    install(keyfob, "codex", "corp", "--anyway")
    put(path(keyfob, "keyfob.toml"), got(path(keyfob, "keyfob.toml")) + "allow_http = true\n")
    both = got(path(keyfob)), got(path(keyfob, "keyfob.toml"))
    assert "keyfob.toml: what was installed" in uninstall(keyfob, "codex", code=2).err
    assert (got(path(keyfob)), got(path(keyfob, "keyfob.toml"))) == both


def test_two_are_taken_back_in_any_order(keyfob):
    """Each goes alone, and then all is as before."""
    text = CONFIG + "\n" + OTHERS.replace("corp", "two")
    put(path(keyfob), text)
    install(keyfob, "codex", "corp", "--anyway")
    install(keyfob, "codex", "two", "--anyway")
    uninstall(keyfob, "codex", "corp")
    assert "[model_providers.two.auth]" in got(path(keyfob))
    uninstall(keyfob, "codex")
    assert got(path(keyfob)) == text
    assert not os.path.exists(path(keyfob, "keyfob.toml"))


def test_a_crash_between_the_two_files_loses_nothing(keyfob, monkeypatch):
    """keyfob.toml is written first: the entry is still whole, and the half that was written is taken back."""
    put(path(keyfob), CONFIG)
    real = edits.Edit.write

    def write(edit):
        if edit.path.endswith("config.toml"):
            raise KeyboardInterrupt
        real(edit)

    with monkeypatch.context() as dying:
        dying.setattr(edits.Edit, "write", write)
        install(keyfob, "codex", "corp", "--anyway", code=130)
    assert os.path.exists(path(keyfob, "keyfob.toml"))
    assert keyfob("token", "corp").out == "k\n"
    assert "keyfob uninstall codex corp" in install(keyfob, "codex", "corp", "--anyway", code=2).err
    uninstall(keyfob, "codex")
    assert (got(path(keyfob)), os.path.exists(path(keyfob, "keyfob.toml"))) == (CONFIG, False)


def test_a_file_that_changes_while_somebody_is_asked_is_not_overwritten(keyfob, monkeypatch):
    """It may take them an hour to say yes."""
    put(path(keyfob), CONFIG)
    real = Installations.lock
    later = CONFIG + "\n# later\n"
    monkeypatch.setattr(Installations, "lock", lambda each: (put(path(keyfob), later), real(each))[1])
    assert "has changed meanwhile" in install(keyfob, "codex", "corp", "--anyway", code=2).err
    assert (got(path(keyfob)), os.path.exists(path(keyfob, "keyfob.toml"))) == (later, False)
    assert not os.path.exists(path(keyfob, "keyfob/installed/codex"))


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links")
def test_modes_and_links_stay(keyfob):
    """A config.toml that is a link into a repository stays one; a new keyfob.toml is for nobody else."""
    real = put(f"{keyfob.folder}/dotfiles/codex.toml", CONFIG)
    os.chmod(real, 0o640)
    os.symlink(real, path(keyfob))
    install(keyfob, "codex", "corp", "--anyway")
    assert os.readlink(path(keyfob)) == real
    assert "[model_providers.corp.auth]" in got(real)
    modes = [os.stat(each).st_mode & 0o777 for each in (real, path(keyfob, "keyfob.toml"))]
    assert modes == [0o640, 0o600]
    assert os.stat(f"{keyfob.home}/keyfob/installed/codex").st_mode & 0o777 == 0o600


def test_doctor_sees_that_the_keyfob_which_is_asked_is_gone(keyfob):
    """As after an environment was removed; the way out is the one that it names."""
    put(path(keyfob), OTHERS)
    install(keyfob, "codex", "corp", "--anyway")
    said = keyfob("doctor").out
    assert f"ok\tinstalled\tCodex asks {keyfob.folder}/bin/keyfob for the token of corp" in said
    os.unlink(f"{keyfob.folder}/bin/keyfob")
    said = keyfob("doctor").out
    assert "bin/keyfob is not there any more\tkeyfob uninstall codex corp && keyfob install codex corp" in said
    assert "which is not there any more" in install(keyfob, "codex", "corp", "--anyway").err


def test_doctor_sees_that_keyfob_is_gone_from_a_python_that_stays(keyfob, monkeypatch, tmp_path):
    """Where there is no script, the command is `python -m keyfob`."""
    monkeypatch.setattr(sys, "argv", ["/x/keyfob/__main__.py"])
    monkeypatch.setattr(command.sysconfig, "get_path", lambda _: str(tmp_path))
    put(path(keyfob), OTHERS)
    install(keyfob, "claude-code", "corp")
    assert f"Claude Code asks {sys.executable} for the token of corp\t" in keyfob("doctor").out
    record = path(keyfob, "keyfob/installed/claude-code")
    put(record, got(record).replace("__main__.py", "__gone__.py"))
    assert "__gone__.py is not there any more" in keyfob("doctor").out


def test_what_a_newer_keyfob_has_installed_is_left_to_it(keyfob):
    """Its record may mean something else."""
    record = put(path(keyfob, "keyfob/installed/codex"), '{"version": 2, "installed": []}')
    assert "was written by another keyfob" in uninstall(keyfob, "codex", code=2).err
    assert os.path.exists(record)


# The command


def test_the_command_is_this_keyfob_by_its_whole_path(keyfob, monkeypatch, tmp_path):
    """PATH's link to it, which outlives an upgrade; never another program of that name; without a script, python -m."""
    script = f"{keyfob.folder}/bin/keyfob"
    os.chmod(script, 0o755)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "keyfob").symlink_to(script)
    assert command.command({"PATH": f"{tmp_path}/links"}) == [f"{tmp_path}/links/keyfob"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "keyfob").write_text("")
    (tmp_path / "other" / "keyfob").chmod(0o755)
    assert command.command({"PATH": f"{tmp_path}/other"}) == [script]
    monkeypatch.setattr(command.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["/x/keyfob/__main__.py"])
    assert command.command({}) == [sys.executable, "-m", "keyfob"]


# Claude Code


def settings(keyfob, text=None):
    place = f"{keyfob.folder}/.claude/settings.json"
    return place if text is None else put(place, text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{}",
        '{ "model": "m" }',
        '{"a":1,"env":{}}\n',
        '{\r\n\t"a": [{"b": "}"}],\r\n\t"env": {\r\n\t\t"X": "\\u007d"\r\n\t}\r\n}',
        f'{{\n  "kind": "x", "t": "{SECRET}",\n  "y": "1"\n}}',
        f'{{\n  "apiKeyHelper": "echo {SECRET}",\n  "env": {{"ANTHROPIC_BASE_URL": "https://x", "Y": "é"}}\n}}\n',
    ],
)
def test_claude_codes_settings_are_edited_and_restored_to_the_byte(keyfob, text):
    """The base URL goes with the token: without it, that would be sent to Anthropic."""
    put(path(keyfob), OTHERS)
    if text is not None:
        settings(keyfob, text)
    before = json.loads(text or "{}")
    install(keyfob, "claude-code", "corp")
    after = json.loads(got(settings(keyfob)))
    assert after["apiKeyHelper"] == f"{keyfob.folder}/bin/keyfob token corp"
    assert after["env"]["ANTHROPIC_BASE_URL"] == BASE.removesuffix("/v1")  # Claude Code appends it
    assert {**before, **after, "env": {**before.get("env", {}), **after["env"]}} == after
    if text and "\r\n" in text:
        assert "\n" not in got(settings(keyfob)).replace("\r\n", "")
    assert "asks keyfob already" in install(keyfob, "claude-code", "corp").err
    uninstall(keyfob, "claude-code")
    assert (got(settings(keyfob)) if os.path.exists(settings(keyfob)) else None) == text


def test_settings_that_claude_code_wrote_anew_lose_what_was_added_and_no_more(keyfob):
    """It does so whenever something is set in it; what was there before comes back."""
    put(path(keyfob), OTHERS)
    settings(keyfob, '{"apiKeyHelper":"mine","env":{"X":"1"},"z":{"ANTHROPIC_BASE_URL":"2"}}')
    install(keyfob, "claude-code", "corp")
    anew = {**json.loads(got(settings(keyfob))), "theme": "dark"}
    settings(keyfob, json.dumps(anew, indent=4))
    uninstall(keyfob, "claude-code")
    left = json.loads(got(settings(keyfob)))
    assert left == {"apiKeyHelper": "mine", "env": {"X": "1"}, "z": {"ANTHROPIC_BASE_URL": "2"}, "theme": "dark"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{{"env": {{\n"ANTHROPIC_AUTH_TOKEN": "{SECRET}"}}}}', "settings.json:2: `ANTHROPIC_AUTH_TOKEN` goes before"),
        ('{\n "a": 1\n "b"}', "settings.json:3:2: not valid JSON"),
        ("[]", "settings.json:1: not a JSON object"),
        ('{"env": 1}', "settings.json:1: `env` is no object"),
    ],
)
def test_settings_that_cannot_be_edited_are_left_and_told(keyfob, text, words):
    """A credential that goes before the helper would be sent to the provider: that too."""
    put(path(keyfob), OTHERS)
    settings(keyfob, text)
    assert words in install(keyfob, "claude-code", "corp", code=2).err
    assert got(settings(keyfob)) == text


def test_another_provider_is_installed_after_the_first_is_taken_back(keyfob):
    """There is one helper alone; what was there before keyfob is not forgotten over two of them."""
    put(path(keyfob), OTHERS + OTHERS.replace("corp", "two"))
    install(keyfob, "claude-code", "corp")
    assert "keyfob uninstall claude-code corp" in install(keyfob, "claude-code", "two", code=2).err


def test_an_installation_that_somebody_has_changed_in_part_is_not_forgotten(keyfob):
    """It alone knows what was there before. How often the helper is asked is the user's to say; the rest is not."""
    put(path(keyfob), OTHERS)
    settings(keyfob, f'{{"apiKeyHelper": "echo {SECRET}"}}')
    install(keyfob, "claude-code", "corp")
    settings(keyfob, got(settings(keyfob)).replace("300000", "60000"))
    assert "keyfob uninstall claude-code corp" in install(keyfob, "claude-code", "corp", code=2).err
    uninstall(keyfob, "claude-code")
    left = {"apiKeyHelper": f"echo {SECRET}", "env": {"CLAUDE_CODE_API_KEY_HELPER_TTL_MS": "60000"}}
    assert json.loads(got(settings(keyfob))) == left


def test_what_has_to_be_taken_back_by_hand_can_be(keyfob):
    """The user's own helper must not be sent to another server. It is said where it is; what is gone is in no way."""
    put(path(keyfob), OTHERS)
    settings(keyfob, f'{{"apiKeyHelper": "echo {SECRET}"}}')
    install(keyfob, "claude-code", "corp")
    edited = put(settings(keyfob), got(settings(keyfob)).replace("https://llm.", "https://other."))
    text = got(edited)
    assert "keyfob uninstall claude-code corp" in install(keyfob, "claude-code", "corp", code=2).err
    record = path(keyfob, "keyfob/installed/claude-code")
    assert f"what it had replaced, is in {record}" in uninstall(keyfob, "claude-code", code=2).err
    assert got(edited) == text
    assert f"echo {SECRET}" in got(record)
    settings(keyfob, '{"theme": "dark"}')
    assert "Claude Code asks keyfob" in install(keyfob, "claude-code", "corp").err
    settings(keyfob, '{"theme": "dark"}')
    assert "nothing was changed" in keyfob("uninstall", "claude-code", "--dry-run").err
    assert os.path.exists(record)
    uninstall(keyfob, "claude-code")
    assert not os.path.exists(record)


# kubectl

USER = "- name: a\n  user: {token: x}\n"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "users: []\n",
        "users: null # none\nkind: Config\n",
        "kind: Config",
        "# nothing yet\n",
        f"# mine\nusers:\n# a\n{USER}# end\nkind: Config\n",
        f"users:\r\n    {USER.strip()}".replace("\n  user", "\n      user"),
        '{"kind": "Config", "users": [{"name": "a", "user": {"token": "x"}}]}',
        '{"kind": "Config", "users": []}',
    ],
)
def test_a_kubeconfig_is_edited_and_restored_to_the_byte(keyfob, text):
    """As PyYAML reads it: a user more, and nothing else."""
    put(path(keyfob), OTHERS)
    place = f"{keyfob.folder}/kube config"
    keyfob.environ["KUBECONFIG"] = f"{place}{os.pathsep}/other"
    if text is not None:
        put(place, text)
    before = (yaml.safe_load(text) if text else None) or {"apiVersion": "v1", "kind": "Config"}
    install(keyfob, "kubectl", "corp", "--user", "me")
    ours, *users = yaml.safe_load(got(place))["users"]
    assert users == (before.get("users") or [])
    assert ours["name"] == "me"
    assert ours["user"]["exec"]["args"] == ["token", "corp", "--format", "exec-credential"]
    assert ours["user"]["exec"]["command"] == f"{keyfob.folder}/bin/keyfob"
    assert {**yaml.safe_load(got(place)), "users": None} == {**before, "users": None}
    assert "asks keyfob already" in install(keyfob, "kubectl", "corp", "--user", "me").err
    uninstall(keyfob, "kubectl", "corp")
    assert (got(place) if os.path.exists(place) else None) == text


@pytest.mark.parametrize("users", [USER, ""])
def test_a_kubeconfig_that_kubectl_wrote_anew_loses_that_user_and_no_more(keyfob, users):
    """It does so whenever a context is set, and adds keys with their defaults."""
    put(path(keyfob), OTHERS)
    place = put(f"{keyfob.folder}/.kube/config", f"kind: Config\nusers:\n{users}" if users else "kind: Config\n")
    install(keyfob, "kubectl", "corp")
    anew = yaml.safe_load(got(place))
    anew["users"][0]["user"]["exec"]["provideClusterInfo"] = False
    put(place, yaml.safe_dump(anew) + "# end\n")
    uninstall(keyfob, "kubectl")
    assert yaml.safe_load(got(place)) == {"kind": "Config", "users": [*(yaml.safe_load(users) or [])]}
    assert got(place).endswith("# end\n")


@pytest.mark.slow
def test_a_file_that_two_have_made_goes_with_the_last(keyfob):
    """Whichever that is; unless somebody else has written into it."""
    put(path(keyfob), OTHERS + OTHERS.replace("corp", "two"))
    place = f"{keyfob.folder}/.kube/config"
    for note in ("", "# mine\n"):
        for name in ("corp", "two"):
            assert "…" not in install(keyfob, "kubectl", name).out  # all of it is keyfob's
        put(place, got(place) + note)
        uninstall(keyfob, "kubectl", "corp")
        uninstall(keyfob, "kubectl", "two")
        assert os.path.exists(place) == bool(note)


def test_a_user_that_somebody_has_removed_is_gone(keyfob):
    """The keys that every kubeconfig has may stay."""
    put(path(keyfob), OTHERS)
    install(keyfob, "kubectl", "corp")
    place = put(f"{keyfob.folder}/.kube/config", "apiVersion: v1\nkind: Config\n")
    install(keyfob, "kubectl", "corp")
    put(place, "apiVersion: v1\nkind: Config\n")
    uninstall(keyfob, "kubectl")
    assert "nothing is installed" in uninstall(keyfob, "kubectl").err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("users:\n- name: corp\n  user: {}\n", "config:1: there is a user 'corp' already (give --user another name)"),
        ("users:\n\t- a\n", "config:2: not valid YAML"),
        ("users: 1\n", "config:1: `users` is no list"),
        ("- a\n", "config:1: not a mapping"),
    ],
)
def test_a_kubeconfig_that_cannot_be_edited_is_left_and_told(keyfob, text, words):
    """With its line."""
    put(path(keyfob), OTHERS)
    place = put(f"{keyfob.folder}/.kube/config", text)
    assert words in install(keyfob, "kubectl", "corp", code=2).err
    assert got(place) == text


def test_a_user_of_another_file_that_kubectl_reads_is_not_covered(keyfob):
    """kubectl takes the first of a name: the other's clusters would be sent this provider's token."""
    put(path(keyfob), OTHERS)
    one, two = (f"{keyfob.folder}/{name}" for name in ("one", "two"))
    put(two, "users:\n- name: corp\n  user: {}\n")
    keyfob.environ["KUBECONFIG"] = os.pathsep.join([one, two])
    assert "two:1: there is a user 'corp' already" in install(keyfob, "kubectl", "corp", code=2).err
    assert not os.path.exists(one)
    install(keyfob, "kubectl", "corp", "--user", "me")


def test_without_pyyaml_it_is_said_what_to_install(keyfob, monkeypatch):
    """keyfob itself does not depend on it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    put(path(keyfob), OTHERS)
    assert "pip install PyYAML" in install(keyfob, "kubectl", "corp", code=2).err
