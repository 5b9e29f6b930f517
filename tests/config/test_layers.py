"""The layers: which files are read, in which order they are merged, and what cannot be read."""

from __future__ import annotations

import os
import socket

import pytest

from keyfob.config.layers import LARGEST, merge, overridden, read_layers
from keyfob.config.places import Places
from keyfob.errors import ConfigError, UsageError


def merged(home, profile=None, overrides=()):
    """Everything that a host would see."""
    return merge(layer.data for layer in read_layers(home.places, profile, overrides))


def only_fault(home, profile=None, overrides=()):
    """The one fault of what cannot be read."""
    with pytest.raises(ConfigError) as caught:
        read_layers(home.places, profile, overrides)
    (fault,) = caught.value.faults
    return fault


def system(home, name, text):
    """Write a file of the administrator's."""
    (home.system / name).write_text(text)


def test_each_layer_wins_over_those_below(home):
    """System, user, profile, -c, managed; beside each file its keyfob.toml, merged over it."""
    names = [
        (home.system, "config.toml"),
        (home.system, "keyfob.toml"),
        (home.folder, "config.toml"),
        (home.folder, "keyfob.toml"),
        (home.folder, "work.config.toml"),
        (home.folder, "work.keyfob.toml"),
        (None, "-c"),
        (home.system, "managed_config.toml"),
        (home.system, "managed_keyfob.toml"),
    ]
    (home.folder / "work.config.toml").touch()
    overrides = []
    for number, (folder, name) in enumerate(names):
        if folder is None:
            overrides = [f"winner={number}", f"own.k{number}={number}"]
        else:
            (folder / name).write_text(f"winner = {number}\n[own]\nk{number} = {number}\n")
        found = merged(home, "work", overrides)
        assert found["winner"] == number
    assert sorted(found["own"].values()) == list(range(len(names)))


def test_tables_merge_per_key_and_the_rest_is_replaced():
    """A table is merged key by key at every depth; an array, or a table over a scalar, replaces."""
    low = {"a": {"b": {"c": 1, "d": [1, 2]}}, "e": 1, "f": {"g": 1}}
    high = {"a": {"b": {"d": [3]}}, "e": {"x": 1}, "f": 2}
    assert merge([low, high]) == {"a": {"b": {"c": 1, "d": [3]}}, "e": {"x": 1}, "f": 2}
    assert low == {"a": {"b": {"c": 1, "d": [1, 2]}}, "e": 1, "f": {"g": 1}}


def test_no_file_is_no_fault(home):
    """A machine without any configuration has no layers."""
    assert read_layers(home.places, None, ()) == []


def test_a_layer_does_not_show_what_it_holds(home):
    """Its repr says which file it is, and nothing of the file."""
    home.write('experimental_bearer_token = "canary"')
    assert "canary" not in repr(read_layers(home.places, None, ()))


def test_a_profile_is_a_file_of_its_own(home):
    """`--profile work` reads work.config.toml; one that is not there is an error that names it."""
    with pytest.raises(ConfigError, match=r"profile 'work': there is no .*work\.config\.toml"):
        read_layers(home.places, "work", ())
    home.write("a = 1", "work.keyfob.toml")
    assert merged(home, "work") == {"a": 1}


@pytest.mark.parametrize("name", ["", ".", "..", "../work", "a/b", "/etc/passwd", ".hidden"])
def test_a_profile_cannot_lead_elsewhere(home, name):
    """It is a name, not a path."""
    with pytest.raises(UsageError, match="not the name of a profile"):
        read_layers(home.places, name, ())


def test_a_syntax_fault_says_where(home):
    """File, line and column, as the parser knows them."""
    path = home.write('a = 1\n[model_providers.x]\nbase_url = "canary\n')
    fault = only_fault(home)
    assert (fault.path, fault.line, fault.column) == (path, 3, 19)
    assert str(fault).startswith(f"{path}:3:19: not valid TOML: ")
    assert "canary" not in str(fault)


def test_a_table_that_is_there_twice(home):
    """The parser's word for it, with the line of the second."""
    home.write("[model_providers.x]\na = 1\n[model_providers.x]\n")
    fault = only_fault(home)
    assert fault.line == 3
    assert "twice" in fault.message


def test_the_syntax_faults_of_all_files_are_told_at_once(home):
    """One a file, for nothing behind it can be known."""
    home.write("=")
    system(home, "managed_config.toml", "[")
    with pytest.raises(ConfigError) as caught:
        read_layers(home.places, None, ())
    assert [os.path.basename(fault.path) for fault in caught.value.faults] == ["config.toml", "managed_config.toml"]


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"a = 1\n\x80\x81", "not UTF-8 text", 2),
        ("a = 1".encode("utf-16"), "not UTF-8 text", 1),
        (b"\x00\x01\x02", "not valid TOML", 1),
        (b"a = " + b"9" * 5000, "holds an integer that is too large", None),
        (b"a = " + b"[" * 5000, "nested too deeply", None),
        (b".".join([b"a"] * 5000) + b" = 1", "nested too deeply", None),
        (b"#" * (LARGEST + 1), "larger than 16 MiB", None),
    ],
    ids=["binary", "utf-16", "NUL", "integer", "brackets", "dots", "size"],
)
def test_what_is_no_configuration(home, data, message, line):
    """A clear fault, not what the parser happens to raise."""
    (home.folder / "config.toml").write_bytes(data)
    fault = only_fault(home)
    assert message in str(fault)
    assert fault.line == line


@pytest.mark.slow
def test_ten_megabytes_are_read(home):
    """Odd, but nothing is wrong with it."""
    home.write("# comment\n" * 1_000_000 + "a = 1\n")
    assert merged(home) == {"a": 1}


def test_a_byte_order_mark_is_no_fault(home):
    """Editors on Windows write one."""
    (home.folder / "config.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert merged(home) == {"a": 1}


def test_a_named_pipe_is_not_waited_for(home):
    """Opening it would wait for a writer."""
    os.mkfifo(home.folder / "config.toml")
    assert "not an ordinary file" in only_fault(home).message


def test_a_folder_or_a_socket_is_no_file(home):
    """They are named, each with its path."""
    (home.folder / "keyfob.toml").mkdir()
    assert "not an ordinary file" in only_fault(home).message
    (home.folder / "keyfob.toml").rmdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(home.folder / "keyfob.toml"))
        assert "not an ordinary file" in only_fault(home).message


def test_a_file_that_cannot_be_read(home):
    """It is there, so it counts; passing it by could pass by a rule."""
    (home.system / "managed_config.toml").symlink_to("managed_config.toml")
    fault = only_fault(home)
    assert fault.path == str(home.system / "managed_config.toml")
    assert fault.message.startswith("cannot be read: ")


@pytest.mark.slow
def test_nesting_that_two_files_share_is_a_fault_too(home):
    """Each file can be read; merged, they are too deep for Python's stack."""
    deep = "[" + ".".join(["a"] * 999) + "]\n" + ".".join(["a"] * 999) + " = 1"
    home.write(deep)
    home.write(deep, "keyfob.toml")
    with pytest.raises(ConfigError, match="nested too deeply"):
        home.host().configuration  # noqa: B018


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("model_provider=corp", {"model_provider": "corp"}),
        ('model_provider="corp"', {"model_provider": "corp"}),
        ("model_provider='corp'", {"model_provider": "corp"}),
        (" a . b = 1 ", {"a": {"b": 1}}),
        ("a=true", {"a": True}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ('a="b', {"a": "b"}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ('a={ b = "c" }', {"a": {"b": "c"}}),
        ('model_providers."my corp.de".base_url="u"', {"model_providers": {"my corp.de": {"base_url": "u"}}}),
        ("model_providers.'😀'.x=1", {"model_providers": {"😀": {"x": 1}}}),
        ("a=sk-live#1", {"a": "sk-live#1"}),
        ("a=1 # one", {"a": 1}),
        ("a=" + "9" * 5000, {"a": "9" * 5000}),
        ("a=" + "[" * 5000, {"a": "[" * 5000}),
        ("#=1", {"#": 1}),
        ("a b=1", {"a b": 1}),
        ("[a]=1", {"[a]": 1}),
        ("a=1\nmodel_provider = 'evil'", {"a": "1\nmodel_provider = 'evil"}),
        ("a=1\n[keyfob]\nallow_plugins = []", {"a": "1\n[keyfob]\nallow_plugins = []"}),
        ("[a]\n[b]\nc=1", {"[a]\n[b]\nc": 1}),
        ("x = 1\ny=1", {"x": "1\ny=1"}),
    ],
)
def test_an_override(text, table):
    """A dotted key, perhaps quoted, and a TOML value, or else a string; never a key beside it."""
    assert overridden([text]) == table


@pytest.mark.parametrize(
    ("texts", "table"),
    [
        (["a.b=1", "a={c=2}"], {"a": {"c": 2}}),
        (["a={c=2}", "a.b=1"], {"a": {"b": 1, "c": 2}}),
        (["a=1", "a.b=2"], {"a": {"b": 2}}),
        (["a.b=1", "a.b=2", "c=3"], {"a": {"b": 2}, "c": 3}),
    ],
)
def test_a_later_override_takes_the_place_of_an_earlier_one(texts, table):
    """A table as a whole, as in Codex; only over the files are tables merged."""
    assert overridden(texts) == table


@pytest.mark.parametrize("text", ["", "=", "=x", " =x", "canary"])
def test_what_is_no_override(text):
    """It says how to write one, and does not repeat what may have been a key."""
    with pytest.raises(UsageError, match=r"^-c takes KEY=VALUE$"):
        overridden([text])


def test_a_fault_in_an_override_is_placed_at_the_command_line(home):
    """There is no file and no line."""
    with pytest.raises(ConfigError, match=r"^-c: model_providers\.x\.env_key: expected a string, found an integer"):
        _ = home.provider("", overrides=["model_providers.x.env_key=1"]).entry


def test_codex_home_has_to_be_a_folder(tmp_path):
    """Missing, or a file: an error that names the value, as in Codex."""
    (tmp_path / "file").write_text("")
    for value, says in ((tmp_path / "none", "there is no such folder"), (tmp_path / "file", "is not a folder")):
        places = Places.of({"CODEX_HOME": str(value), "HOME": str(tmp_path)})
        with pytest.raises(ConfigError, match=says) as caught:
            read_layers(places, None, ())
        assert str(value) in str(caught.value)
        assert caught.value.exit_code == 2


def test_a_home_that_was_not_named_need_not_be_there(tmp_path):
    """But where it is, it is a folder."""
    assert Places.of({"HOME": str(tmp_path)}).codex_home_fault is None
    (tmp_path / ".codex").write_text("")
    assert Places.of({"HOME": str(tmp_path)}).codex_home_fault == f"{tmp_path}/.codex is not a folder"


def test_codex_home_is_its_real_path(tmp_path):
    """Two names of one folder are one CODEX_HOME; blank is as if it were not set."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Places.of({"CODEX_HOME": str(tmp_path / "link")}).codex_home == str(tmp_path / "real")
    assert Places.of({"CODEX_HOME": "", "HOME": str(tmp_path)}).codex_home == str(tmp_path / ".codex")


def test_a_relative_codex_home_in_a_deleted_folder(tmp_path, monkeypatch):
    """The real path cannot be known; that is a fault, not a traceback."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Places.of({"CODEX_HOME": "rel", "HOME": str(tmp_path)}).codex_home_fault
    assert Places.of({"CODEX_HOME": "a\0b", "HOME": str(tmp_path)}).codex_home_fault


def test_the_cache_is_where_xdg_says(tmp_path):
    """A relative path is to be ignored."""
    assert Places.of({"HOME": "/h", "XDG_CACHE_HOME": "/c"}).cache == "/c/keyfob"
    assert Places.of({"HOME": "/h", "XDG_CACHE_HOME": "c"}).cache == "/h/.cache/keyfob"
    assert Places.of({"HOME": "/h"}).system == "/etc/codex"
