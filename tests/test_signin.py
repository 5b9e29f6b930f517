"""Signing in, as the library does it: what is looked at before anybody is asked, what is stored, and what ends then."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import keyfob_openai.sign_in
from keyfob.credentials.journal import Intent, Journal, Skew, Stage
from keyfob.credentials.outcome import Outcome
from keyfob.errors import DamagedLoginError, LockedError, PolicyError, SignInError, StoreError, UsageError
from keyfob.signin import sign_in
from keyfob.stores.file import FileStore
from keyfob.testing.issuer import Issuer
from keyfob.testing.person import Person as AnyPerson

from .homes import home as home  # a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyfob.signin import SignedIn

    from .homes import Home

LAB = '[model_providers.x]\nbase_url = "https://llm.example/v1"\nrequires_openai_auth = true\n'


class Person(AnyPerson):
    """Enters a code at once, and has no browser. meanwhile: what happens as soon as they are shown anything."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def show(self, line: str) -> None:
        super().show(line)
        if len(self.shown) == 1:
            self.meanwhile()

    def visit(self, url: str, port: int) -> None:
        self.shown.append(url)
        raise KeyboardInterrupt

    def wait(self, seconds: float, **_: object) -> None:
        raise AssertionError


class Lab:
    """Signs in with a code, to a login in CODEX_HOME's auth.json."""

    def __init__(self, home: Home, issuer: Issuer) -> None:
        self.home, self.issuer, self.person = home, issuer, Person()
        home.environ = dict(issuer.environ)
        self.file = home.folder / "auth.json"
        self.store = FileStore(str(self.file))

    def has(self, login: Any) -> None:
        """Something is stored."""
        self.file.write_text(login if isinstance(login, str) else json.dumps(login), encoding="utf-8")
        self.file.chmod(0o600)

    def signs_in(self, config: str = "", flow: str = "device", **options: Any) -> SignedIn:
        return sign_in(self.home.provider(config + LAB, interaction=self.person), flow, **options)

    @property
    def asked(self) -> list[str]:
        return [each.endpoint for each in self.issuer.asked]

    @property
    def stored(self) -> Any:
        return json.loads(self.file.read_text(encoding="utf-8"))

    def files(self) -> set[str]:
        """What is in CODEX_HOME beside configuration and locks, which are empty and stay."""
        return {path.name for path in self.home.folder.iterdir() if path.suffix not in (".lock", ".toml")}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setattr(keyfob_openai.sign_in, "_PORTS", (0,))
    with Issuer() as running:
        yield running


@pytest.fixture
def lab(home: Home, issuer: Issuer) -> Lab:
    return Lab(home, issuer)


class TestBeforeAnybodyIsAsked:
    """The person has done nothing yet, and would do it in vain."""

    @pytest.fixture(autouse=True)
    def _nobody_was_asked(self, lab: Lab) -> Iterator[None]:
        yield
        assert (lab.person.shown, lab.asked) == ([], [])

    @pytest.mark.parametrize(
        ("rules", "told"),
        [
            ('forced_login_method = "api"\n', "counts as a ChatGPT login, which breaks forced_login_method"),
            ('forced_chatgpt_workspace_id = "a"\n', "no workspace that all rules permit"),
        ],
    )
    def test_policy_speaks_first(self, lab: Lab, rules: str, told: str) -> None:
        """Also where two rules each permit some workspace, and no two the same."""
        (lab.home.system / "requirements.toml").write_text('allowed_chatgpt_workspaces = ["b"]\n')
        with pytest.raises(PolicyError, match=told) as caught:
            lab.signs_in(rules)
        assert caught.value.hint == "keyfob login x --with-api-key"

    def test_what_is_damaged_is_told(self, lab: Lab) -> None:
        """It stays."""
        lab.has("{damaged")
        with pytest.raises(DamagedLoginError):
            lab.signs_in()
        assert lab.file.read_text() == "{damaged"

    def test_a_file_that_cannot_be_written_is_told(self, lab: Lab) -> None:
        """Something stands where the next one is made."""
        (lab.home.folder / "auth.json.keyfob.new").mkdir()
        with pytest.raises(StoreError, match="cannot be written"):
            lab.signs_in()

    def test_a_keyring_that_is_not_there_is_told(self, lab: Lab) -> None:
        """Where nothing else is a place."""
        with pytest.raises(StoreError, match="there is no keyring"):
            lab.signs_in('cli_auth_credentials_store = "keyring"\n')

    def test_where_a_key_is_all_there_is_no_signing_in(self, lab: Lab) -> None:
        """An entry with `env_key`."""
        provider = lab.home.provider(LAB.replace("requires_openai_auth = true", 'env_key = "KEY"'))
        assert provider.login is not None
        assert provider.login.flows == ()
        with pytest.raises(UsageError, match="x: there is no signing in to it"):
            sign_in(provider, "browser")

    def test_a_program_is_never_held_up(self, lab: Lab) -> None:
        """Without anybody who could be asked, nobody signs in."""
        with pytest.raises(SignInError, match="nobody is there"):
            sign_in(lab.home.provider(LAB), "browser")


def test_where_there_is_no_keyring_auto_takes_the_file(lab: Lab) -> None:
    """And nothing but the login and locks is left there."""
    lab.signs_in('cli_auth_credentials_store = "auto"\n')
    assert lab.stored["auth_mode"] == "chatgpt"
    assert lab.files() == {"auth.json"}


@pytest.mark.parametrize("way", ["refused", "given up"])
def test_the_old_login_stays_until_the_new_one_is_stored(lab: Lab, way: str) -> None:
    """Whatever ends the attempt; it is not revoked either."""
    lab.has(lab.issuer.login())
    before = lab.file.read_bytes()
    lab.issuer.sign_in.answers["token.code"] = [500]
    with pytest.raises(SignInError if way == "refused" else KeyboardInterrupt):
        lab.signs_in(flow="device" if way == "refused" else "browser", revoke_old=True)
    assert (lab.file.read_bytes(), lab.files(), lab.issuer.revoked) == (before, {"auth.json"}, [])


def test_what_was_known_of_the_old_login_says_nothing_of_the_new(lab: Lab) -> None:
    """Its renewal that broke off, what came of it, its clock: even for a login of another account."""
    lab.has(lab.issuer.login(expires_in=-5))
    known = lab.home.provider(LAB).login
    assert known is not None
    stored = known.stored()
    assert stored is not None
    mark = stored.fingerprint
    ended = Outcome(mark, "invalid_grant", "refused", 0.0, permanent=True)
    lab.store.note(Journal(Intent(mark, sent=True), ended, Skew(mark, 9.0), forced_at=1.0))
    lab.store.put_stage(Stage("of another state", b"{}"))
    lab.issuer.account = "acct-2"
    assert lab.signs_in().record.account == "acct-2"
    assert (lab.store.journal(), lab.store.stage()) == (Journal(), None)
    provider = lab.home.provider(LAB)
    assert provider.credential().token == lab.stored["tokens"]["access_token"]
    assert provider.credential().headers["ChatGPT-Account-ID"] == "acct-2"
    assert not lab.issuer.presented


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("early", [True, False])
def test_whoever_is_at_the_old_login_is_named_and_waited_for(
    lab: Lab, early: bool, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the sign-in, or after it: then nobody has to do so again, unless it takes longer than anything does."""
    lab.has(lab.issuer.login())
    before, held, said = lab.file.read_bytes(), contextlib.ExitStack(), list[str]()

    def say(message: str) -> None:
        if message.endswith(f"is held by process {os.getpid()}"):
            said.append(message)
            if ends:
                held.close()

    monkeypatch.setattr("keyfob.signin._SILENT", 0.0)
    monkeypatch.setattr("keyfob.signin._PATIENCE", 0.0)
    monkeypatch.setattr(lab.person, "say", say)
    if early:
        held.enter_context(lab.store.lock())
    else:
        lab.person.meanwhile = lambda: held.enter_context(lab.store.lock())
    with held, contextlib.nullcontext() if ends else pytest.raises(LockedError):
        lab.signs_in()
    assert len(said) == 1
    assert (lab.file.read_bytes() == before) is not ends


def test_a_clock_that_is_ahead_costs_one_renewal(lab: Lab) -> None:
    """The new login seems to have expired; once its issuer has renewed it, how the clocks differ is known."""

    def ahead() -> float:
        return time.time() + 7200

    sign_in(lab.home.host(LAB, clock=ahead, interaction=lab.person).provider("x"), "device")
    for _ in range(2):
        assert lab.home.host(LAB, clock=ahead).provider("x").credential().token is not None
    assert lab.issuer.renewals == 1


class TestRevokeOld:
    """`--revoke-old`."""

    @pytest.mark.slow
    def test_the_old_one_ends_once_the_new_one_is_stored(self, lab: Lab) -> None:
        """Not before, and not without being asked to."""
        lab.has(lab.issuer.login())
        old = lab.stored["tokens"]["refresh_token"]
        lab.signs_in()
        assert not lab.issuer.revoked
        lab.has({**lab.stored, "tokens": {**lab.stored["tokens"], "refresh_token": old}})
        done = lab.signs_in(revoke_old=True)
        assert [each["token"] for each in lab.issuer.revoked] == [old]
        assert lab.asked[-1] == "revoke"
        assert (done.old, done.record.secret) == ((True, None), lab.stored["tokens"]["refresh_token"])

    def test_of_an_unfinished_renewal_the_successor_ends(self, lab: Lab) -> None:
        """It is the one that lives."""
        lab.has(lab.issuer.login(expires_in=-5))
        login = lab.home.provider(LAB).login
        assert login is not None
        record = login.stored()
        assert record is not None
        _, answer = lab.issuer.renewed({"refresh_token": record.secret})
        lab.store.put_stage(Stage(record.fingerprint, json.dumps(answer).encode()))
        lab.signs_in(revoke_old=True)
        assert [each["token"] for each in lab.issuer.revoked] == [answer["refresh_token"]]

    def test_what_both_renew_with_is_not_revoked(self, lab: Lab) -> None:
        """An issuer that does not rotate gives the same refresh token again: that would end the new login."""
        again = lab.issuer.login()
        lab.has(again)
        lab.issuer.sign_in.answers["token.code"] = [(200, again["tokens"])]
        assert lab.signs_in(revoke_old=True).old == (False, None)
        assert not lab.issuer.revoked

    def test_a_failure_is_told(self, lab: Lab) -> None:
        """The new login is stored all the same."""
        lab.has(lab.issuer.login())
        lab.home.environ["CODEX_REVOKE_TOKEN_URL_OVERRIDE"] = "http://127.0.0.1:9/"
        done = lab.signs_in(revoke_old=True)
        assert "could not be told" in str(done.old.still_valid)
        assert lab.stored["tokens"]["refresh_token"] == done.record.secret

    def test_a_key_has_nothing_to_end(self, lab: Lab) -> None:
        """It is replaced."""
        lab.has({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-old"})
        assert lab.signs_in(revoke_old=True).old == (False, None)
        assert not lab.issuer.revoked

    def test_that_what_was_damaged_may_live_on_is_told(self, lab: Lab) -> None:
        """Nobody knows what to revoke."""
        lab.has("{damaged")
        still_valid = lab.signs_in(revoke_old=True, replace_damaged=True).old.still_valid
        assert "its issuer could not be told of it" in str(still_valid)
        assert not lab.issuer.revoked
