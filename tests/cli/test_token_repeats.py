"""`keyfob token P --repeat-means-refused`: whoever asks again at once was refused with what it was handed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob import Host
from keyfob.cli import repeats
from keyfob.cli.repeats import AT_ONCE, Repeats
from keyfob.cli.warm import token
from keyfob.config import snapshot
from keyfob.config.places import Places
from keyfob.testing.issuer import Issuer

from .conftest import SCRIPT

FLAG = "--repeat-means-refused"
TOKEN = "canary-token-of-somebody"
PROVIDER = """
model_provider = "chat"
[model_providers.{name}]
base_url = "https://llm.example/v1"
requires_openai_auth = true
"""


class Handed:
    """Notes in a folder of their own, with a clock that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cache" / "keyfob"
        self.now = 1_000_000.0

    def of(self, *, home="/home/a", provider="x", asker="7 1"):
        places = Places(home, system="/none", cache=str(self.folder))
        return Repeats(places, provider, asker, lambda: self.now)

    @property
    def files(self):
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture
def handed(tmp_path):
    return Handed(tmp_path)


@pytest.mark.parametrize(("seconds", "counts"), [(0, True), (AT_ONCE, True), (AT_ONCE + 0.1, False), (-1, False)])
def test_the_same_token_counts_for_ten_seconds(handed, seconds, counts):
    """And not if the clock was put back."""
    handed.of().note(TOKEN)
    handed.now += seconds
    assert handed.of().counts(TOKEN) is counts


def test_what_was_not_handed_out_does_not_count(handed):
    """Nothing was, and then another token."""
    assert not handed.of().counts(TOKEN)
    handed.of().note("another")
    assert not handed.of().counts(TOKEN)


@pytest.mark.parametrize("other", [{"asker": "8 1"}, {"asker": "7 2"}, {"provider": "y"}, {"home": "/home/b"}])
def test_others_are_not_disturbed(handed, other):
    """Another process, one that got the same id later, another provider, another CODEX_HOME."""
    handed.of().note(TOKEN)
    assert not handed.of(**other).counts(TOKEN)
    assert handed.of().counts(TOKEN)


def test_asked_again_the_time_runs_anew(handed):
    """Each answer is one more that may be refused."""
    handed.of().note(TOKEN)
    handed.now += AT_ONCE - 1
    handed.of().note(TOKEN)
    handed.now += AT_ONCE - 1
    assert handed.of().counts(TOKEN)


def test_who_asks_from_nowhere_repeats_nothing(handed):
    """A parent that cannot be told could be anybody's."""
    handed.of(asker=None).note(TOKEN)
    assert not handed.of(asker=None).counts(TOKEN)
    assert not handed.folder.exists()


def test_a_note_holds_no_token(handed):
    """An empty file whose name is a hash."""
    handed.of().note(TOKEN)
    (note,) = handed.files
    assert note.read_bytes() == b""
    assert TOKEN not in str(note)


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_notes_are_for_nobody_else(handed):
    """Neither the folders nor the file."""
    handed.of().note(TOKEN)
    (note,) = handed.files
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (note, note.parent, note.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_old_notes_are_removed(handed):
    """When a new one is made; those that still count stay."""
    handed.of(provider="old").note(TOKEN)
    handed.now += AT_ONCE
    handed.of(provider="recent").note(TOKEN)
    handed.now += 1
    handed.of(provider="new").note(TOKEN)
    assert len(handed.files) == 2
    assert handed.of(provider="recent").counts(TOKEN)


def test_a_link_in_the_place_of_a_note_is_not_followed(handed, tmp_path):
    """Nothing is made or touched outside."""
    handed.of().note(TOKEN)
    (note,) = handed.files
    note.unlink()
    note.symlink_to(tmp_path / "elsewhere")
    handed.now = note.lstat().st_mtime
    with pytest.raises(OSError, match=note.name):
        handed.of().note(TOKEN)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a launcher stands between")
class TestParent:
    def test_it_is_the_same_for_each_child(self):
        """By id and by when it started."""
        told = [self._child() for _ in range(2)]
        assert told[0] == told[1]
        assert told[0].split()[0] == str(os.getpid())

    def _child(self):
        code = "from keyfob.cli.repeats import parent; print(parent())"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    @pytest.mark.skipif(sys.platform != "linux", reason="where /proc is")
    def test_the_time_is_the_kernels_whatever_the_process_is_called(self, tmp_path):
        """Its name stands before the time, in brackets, and may hold blanks and brackets itself."""
        sleep = tmp_path / "a) 1 (b"
        sleep.symlink_to(shutil.which("sleep"))
        with subprocess.Popen([sleep, "60"]) as process:
            told = repeats._started(process.pid)
            process.kill()
        assert int(told) >= int(repeats._started(os.getpid())) > 0

    def test_ps_tells_it_too(self):
        """Where there is no /proc. The same for one process, and nothing for none."""
        told = [repeats._told_by_ps(os.getpid()) for _ in range(2)]
        if not os.path.exists("/bin/ps"):
            pytest.skip("no ps")
        assert told[0]
        assert told[0] == told[1]
        assert repeats._told_by_ps(2**22 + 1) is None

    def test_a_process_that_is_gone_cannot_be_told(self):
        """So nothing counts for it."""
        assert repeats._started(2**22 + 1) is None


@pytest.fixture
def issuer(keyfob):
    """An issuer, a login of it that is good for an hour and not new, and a provider that takes it."""
    with Issuer() as running:
        keyfob.environ |= running.environ
        keyfob.configure(PROVIDER.format(name="chat"))
        sign_in(keyfob, running.login())
        yield running


def sign_in(keyfob, login):
    path = Path(keyfob.home, "auth.json")
    path.write_text(json.dumps(login))
    path.chmod(0o600)


def stored(keyfob):
    return json.loads(Path(keyfob.home, "auth.json").read_text())["tokens"]["access_token"]


def asked(keyfob, *arguments):
    """What the installed script answers, started by this process."""
    said = keyfob.finished("token", *arguments)
    assert said.code == 0, said.err
    return said.out.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="a launcher stands between")
class TestLogin:
    @pytest.mark.slow
    def test_a_repeat_renews_once(self, keyfob, issuer):
        """The second answer is a new token; the third is the same again, for a new token is not renewed at once."""
        old = stored(keyfob)
        answers = [asked(keyfob, "chat", FLAG) for _ in range(3)]
        assert answers == [old, stored(keyfob), stored(keyfob)]
        assert answers[1] != old
        assert [each.fields["refresh_reason"] for each in issuer.presented] == ["unauthorized_recovery"]

    @pytest.mark.slow
    def test_without_the_flag_nothing_counts_and_nothing_is_written(self, keyfob, issuer):
        """However often it is asked."""
        assert [asked(keyfob, "chat") for _ in range(2)] == [stored(keyfob)] * 2
        assert not Path(keyfob.places.cache, "handed").exists()
        assert issuer.presented == []

    @pytest.mark.slow
    def test_another_process_is_not_disturbed(self, keyfob, issuer):
        """Two shells ask once each."""
        for _ in range(2):
            command = ["sh", "-c", f"'{SCRIPT}' token chat {FLAG}; exit $?"]
            subprocess.run(command, env=keyfob.script_environ, check=True, capture_output=True)
        assert issuer.presented == []

    @pytest.mark.slow
    def test_a_shell_that_asks_twice_was_refused(self, keyfob, issuer):
        """The counterpart of the test above."""
        ask = f"'{SCRIPT}' token chat {FLAG}"
        done = subprocess.run(
            ["sh", "-c", f"{ask}; {ask}; exit $?"], env=keyfob.script_environ, check=True, capture_output=True
        )
        assert done.stdout.decode().split()[1] == stored(keyfob)
        assert issuer.renewals == 1

    @pytest.mark.slow
    def test_each_format_counts(self, keyfob, issuer):
        """As a header, then as JSON."""
        old = stored(keyfob)
        assert asked(keyfob, "chat", FLAG, "--format", "header").splitlines()[0] == f"Authorization: Bearer {old}"
        assert json.loads(asked(keyfob, "chat", FLAG, "--json"))["token"] == stored(keyfob) != old

    @pytest.mark.slow
    def test_a_place_that_cannot_be_written_is_said(self, keyfob, issuer):
        """The answer is given all the same."""
        os.makedirs(keyfob.places.cache)
        Path(keyfob.places.cache, "handed").write_text("in the way")
        said = keyfob.finished("token", "chat", FLAG)
        assert (said.code, said.out.strip()) == (0, stored(keyfob))
        assert "a repeat will not be noticed" in said.err
        assert f"{keyfob.places.cache}/handed: File exists" in said.err


class TestWarm:
    """The way without the whole command, for a login that needs nothing done."""

    @pytest.fixture
    def login(self, keyfob, monkeypatch):
        """A login and a snapshot, in the environment of this process; its token."""
        monkeypatch.setattr("keyfob.config.snapshot_writer.SETTLED", -60.0)
        for name in ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", *snapshot.BYPASS):
            monkeypatch.delenv(name, raising=False)
        for name, value in keyfob.script_environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CORP_KEY", "key-1")
        keyfob.configure(
            PROVIDER.format(name="chat")
            + '[model_providers.corp]\nbase_url = "https://llm.example/v1"\nenv_key = "CORP_KEY"\n'
        )
        with Issuer() as issuer:
            sign_in(keyfob, issuer.login())
        assert Host(os.environ, places=Places.of(os.environ)).remember()
        return stored(keyfob)

    @pytest.mark.skipif(sys.platform == "win32", reason="a launcher stands between")
    def test_a_repeat_is_left_to_the_command(self, login):
        """It knows how to renew."""
        assert [token(["chat", FLAG]), token([FLAG])] == [login, None]

    def test_without_the_flag_nothing_is_noted(self, login, keyfob):
        """Nor heeded."""
        assert token(["chat", FLAG]) == login
        notes = os.listdir(f"{keyfob.places.cache}/handed")
        assert [token(["chat"]), token([])] == [login] * 2
        assert os.listdir(f"{keyfob.places.cache}/handed") == notes

    @pytest.mark.skipif(sys.platform == "win32", reason="a launcher stands between")
    def test_what_cannot_be_noted_is_left_to_the_command(self, login, keyfob):
        """It says so."""
        Path(keyfob.places.cache, "handed").write_text("in the way")
        assert token(["chat", FLAG]) is None

    def test_a_variable_is_handed_out_again(self, login, keyfob):
        """There is nothing to renew, and so nothing to note."""
        assert [token(["corp", FLAG]) for _ in range(3)] == ["key-1"] * 3
        assert not Path(keyfob.places.cache, "handed").exists()


def test_a_key_that_cannot_be_renewed_is_handed_out_again(keyfob):
    """There is no other."""
    keyfob.configure(PROVIDER.format(name="chat"))
    sign_in(keyfob, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"})
    assert [keyfob("token", "chat", FLAG).out for _ in range(3)] == ["sk-canary\n"] * 3


@pytest.mark.slow
def test_a_command_is_told_by_being_run_anew(lab, tmp_path):
    """One that answers the same a second time is asked once more, as after any 401; one that does not is not."""
    counter = tmp_path / "runs"
    code = f"open({str(counter)!r}, 'a').write('.'); print('tok')"
    lab.configure(
        f"[model_providers.count]\nbase_url = 'https://llm.example/v1'\n"
        f"auth = {{ command = {json.dumps(sys.executable)}, args = ['-c', {json.dumps(code)}] }}\n"
    )
    assert [lab("token", "count", FLAG).out for _ in range(2)] == ["tok\n"] * 2
    assert counter.read_text() == "..."
