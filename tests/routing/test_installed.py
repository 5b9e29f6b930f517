"""What installed distributions declare is read from their metadata alone."""

from __future__ import annotations

import os
import site as python_site
import sys

import pytest

from keyfob.config.places import site_folders
from keyfob.routing.installed import canonical, declarations, metadata_files


def declared(*folders):
    """What the distributions in these folders declare, without the place."""
    found = declarations(metadata_files([str(folder) for folder in folders]))
    return [(one.group, one.name, one.module, one.distribution, one.version) for one in found]


def test_a_declaration(site):
    """Group, key, module, distribution and version; the body of METADATA says nothing, whatever it looks like."""
    site.install("Acme.Keys", key="hmac")
    assert declared(site.folder) == [("keyfob.auth", "hmac", "kf_Acme.Keys", "acme-keys", "1.0")]


def test_the_format_of_entry_points(site):
    """Comments, blanks, extras, other groups; what is no `name = value` is passed over."""
    metadata = site.install("acme")
    site.declare(
        metadata,
        "# keyfob.auth\n[console_scripts]\nhmac = no:no\n\n[keyfob.auth]\n; note\n a = kf.a [x]\nb=kf.b\nnonsense\n"
        "[ keyfob.providers ]\ncorp = kf.c\n[keyfob.other]\nd = kf.d\n[keyfob.events]\ne = kf.e\n",
    )
    assert [one[:3] for one in declared(site.folder)] == [
        ("keyfob.auth", "a", "kf.a"),
        ("keyfob.auth", "b", "kf.b"),
        ("keyfob.providers", "corp", "kf.c"),
        ("keyfob.events", "e", "kf.e"),
    ]


def test_eggs_have_their_names_in_another_file(site):
    """Old installs keep PKG-INFO in an .egg-info."""
    metadata = site.install("acme")
    os.rename(metadata / "METADATA", metadata / "PKG-INFO")
    os.rename(metadata, site.folder / "acme-1.0-py3.11.egg-info")
    assert [one[3:] for one in declared(site.folder)] == [("acme", "1.0")]


def test_metadata_that_is_gone(site):
    """Half uninstalled: the name is that of the folder, and there is no version."""
    (site.install("Acme_Keys") / "METADATA").unlink()
    assert [one[3:] for one in declared(site.folder)] == [("acme-keys", "")]


def test_what_pip_left_behind_does_not_count(site):
    """A `~` stands before what it was about to remove."""
    os.rename(site.install("acme"), site.folder / "~cme-1.0.dist-info")
    assert declared(site.folder) == []


def test_of_one_distribution_the_first_found_counts(site, tmp_path):
    """One installed for the user hides the machine's, as its modules do."""
    site.install("acme", version="1.0")
    machine = tmp_path / "machine"
    machine.mkdir()
    os.rename(site.install("acme", version="2.0"), machine / "acme-2.0.dist-info")
    assert [one[4] for one in declared(site.folder, machine)] == ["1.0"]
    assert [one[4] for one in declared(machine, site.folder)] == ["2.0"]


def test_what_cannot_be_read_declares_nothing(site, tmp_path):
    """A folder that is not there, metadata that are no text, an entry point file that is a folder."""
    metadata = site.install("acme")
    (metadata / "entry_points.txt").write_bytes(b"\xff\xfe\x00keyfob.")
    (site.folder / "beta-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    (site.folder / "gamma-1.0.dist-info").mkdir()
    assert declared(site.folder, tmp_path / "none") == []


def test_names_compare_in_one_spelling():
    """PEP 503."""
    assert canonical("Acme__Keys.and-More") == "acme-keys-and-more"


def test_the_site_folders_are_those_of_installers(monkeypatch, tmp_path):
    """In the order of sys.path; never the current folder, sys.path[0] or PYTHONPATH."""
    machine, user, other = (str(tmp_path / name) for name in ("machine", "user", "other"))
    monkeypatch.setattr(python_site, "getsitepackages", lambda: [machine, str(tmp_path / "not in sys.path")])
    monkeypatch.setattr(python_site, "getusersitepackages", lambda: user)
    monkeypatch.setattr(python_site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(sys, "path", ["", other, user, machine, other])
    assert site_folders() == [user, machine]
    monkeypatch.setattr(python_site, "ENABLE_USER_SITE", None)
    assert site_folders() == [machine]


@pytest.mark.parametrize("where", ["", "."])
def test_metadata_in_the_current_folder_is_not_seen(home, site, tmp_path, monkeypatch, where):
    """Though Python would import from there, and importlib.metadata would list it."""
    site.install("acme", code=tmp_path)
    os.rename(site.folder / "acme-1.0.dist-info", tmp_path / "acme-1.0.dist-info")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(where)
    plugins = home.host("").plugins
    assert plugins.accepted == ()
    assert plugins.refused == ()
