"""A login in the keyring is renewed once and never lost, wherever the process that renews it ends."""

from __future__ import annotations

import os

import pytest
from keyring.errors import NoKeyringError

from keyfob import Host
from keyfob.config.places import Places
from keyfob.errors import StoreError
from keyfob.stores.choice import places
from keyfob.testing.issuer import Issuer

from .conftest import Counted, Keychain, Killed, Memory, Steps
from .test_keyring import Failing, Windows

CONFIG = """
cli_auth_credentials_store = "{setting}"
[model_providers.lab]
base_url = "http://127.0.0.1:9/v1"
requires_openai_auth = true
"""


@pytest.fixture(scope="module")
def issuer():
    """One that ends the login when it sees a spent token again."""
    with Issuer(reuse="revoke") as running:
        yield running


class Signed:
    """A CODEX_HOME whose login, which has expired, is in the keyring."""

    def __init__(self, folder, issuer, setting="keyring", *, expires_in=-60.0, **more) -> None:
        folder.mkdir()
        self.folder, self.issuer = os.path.realpath(folder), issuer
        (folder / "config.toml").write_text(CONFIG.format(setting=setting))
        self.file, self.keyring = places(self.folder, "openai", "lab", lambda _: None)
        self.data = {**issuer.login(expires_in=expires_in), **more}
        self.keyring.write(self.data)

    @property
    def login(self):
        """As a new process has it."""
        home = self.folder
        host = Host(self.issuer.environ, places=Places(home, system=f"{home}/system", cache=f"{home}/cache"))
        return host.provider("lab").login

    def renew(self):
        """Renew it in this thread, which may be ended."""
        login = self.login
        return login.renewal.run(login.stored())

    def files(self) -> bytes:
        """Whatever the files of this home hold."""
        paths = [os.path.join(at, name) for at, _, names in os.walk(self.folder) for name in names]
        text = b""
        for path in paths:
            with open(path, "rb") as file:
                text += file.read()
        return text


@pytest.mark.parametrize("setting", ["keyring", "auto"])
def test_a_login_in_the_keyring_is_renewed_there(memory, issuer, tmp_path, setting):
    """One call; the entry holds the new login, nothing is left beside it, and no file holds a token."""
    signed = Signed(tmp_path / "codex", issuer, setting)
    before = issuer.renewals
    record = signed.renew()
    assert issuer.renewals == before + 1
    assert signed.keyring.read() == record.data
    assert issuer.is_current(record.secret)
    assert len(memory.kept) == 1
    assert record.secret.encode() not in signed.files()
    assert not os.path.exists(signed.file.path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Counted, Keychain])
def test_ended_at_any_step_the_next_start_goes_on(use, issuer, tmp_path, monkeypatch, kind):
    """Every use of the keyring, and every step on the disk: no token is presented that was spent, but for the one case.

    That is between sending and staging, where the same token is presented once more (renewal.md): the issuer revokes.
    """
    step, told, lost, ended = Steps(), [], 0, 0
    for name in ("replace", "fsync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, **k: (step(), real(*a, **k))[1])
    backend = use(kind(step))
    for steps in range(1000):
        signed = Signed(tmp_path / f"codex-{steps}", issuer)
        answered = len(issuer.presented)
        step.left = steps
        try:
            signed.renew()
        except Killed:
            ended += 1
        else:
            break
        finally:
            step.left = -1
        staged = signed.keyring.stage()
        spent = len(issuer.presented) > answered
        in_place = signed.keyring.read() != signed.data
        if spent and not in_place and staged is None:
            lost += 1
            continue
        assert signed.data["tokens"]["refresh_token"].encode() not in signed.files()
        record = signed.renew()
        assert issuer.is_current(record.secret), steps
        assert signed.keyring.read() == record.data, steps
        assert signed.keyring.stage() is None, steps
        assert len(issuer.presented) == answered + 1, steps
        assert sum(name.startswith(signed.keyring._name.username) for _, name in backend.kept) == 1, steps
        told.append(staged is not None)
    assert ended > 20
    assert any(told)
    assert lost <= 4  # the uses of the keyring until the stage stands


@pytest.mark.parametrize("setting", ["keyring", "auto"])
def test_a_keyring_that_goes_away_while_the_issuer_answers_costs_no_login(use, memory, tmp_path, setting):
    """The session ends: the answer waits in a file for nobody else, is not revoked, and is part of the login later."""

    def away(issuer, fields):
        use(Failing(NoKeyringError()))
        return issuer.renewed(fields)

    with Issuer(reuse="revoke", answers=[away]) as issuer:
        signed = Signed(tmp_path / "codex", issuer, setting)
        for _ in range(2):
            with pytest.raises(StoreError, match="there is no keyring"):
                signed.renew()
        staged = f"{signed.file.path}.keyfob.keyring-stage"
        assert os.stat(staged).st_mode & 0o777 == 0o600
        use(memory)
        record = signed.renew()
        assert signed.keyring.read() == record.data
        assert issuer.is_current(record.secret)
        assert (len(issuer.presented), issuer.revoked) == (1, [])
        assert record.secret.encode() not in signed.files()


def test_what_the_keyring_would_not_hold_is_not_sent_for(use, issuer, tmp_path):
    """Room for the answer is made first."""
    kept = use(Memory()).kept
    signed = Signed(tmp_path / "codex", issuer, more="x" * 1500)
    use(Windows()).kept = kept
    before = len(issuer.presented)
    with pytest.raises(StoreError, match="does not take an entry"):
        signed.renew()
    assert len(issuer.presented) == before
    assert signed.keyring.read() == signed.data


def test_a_login_that_is_good_is_used_though_the_keyring_takes_no_other(use, issuer, tmp_path):
    """Until it expires, that is no error."""
    kept = use(Memory()).kept
    signed = Signed(tmp_path / "codex", issuer, expires_in=120, more="x" * 1500)
    use(Windows()).kept = kept
    home, before = signed.folder, len(issuer.presented)
    host = Host(issuer.environ, places=Places(home, system=f"{home}/system", cache=f"{home}/cache"))
    assert host.provider("lab").credential().token == signed.data["tokens"]["access_token"]
    assert len(issuer.presented) == before
