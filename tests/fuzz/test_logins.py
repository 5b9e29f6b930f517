"""Whatever a login's files hold and its issuer answers: no errors but ours, no secret shown, and no login lost."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keyfob.config.places import Places
from keyfob.credentials.exchange import Answer, Exchange, UnansweredError, UnreachableError
from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.credentials.outcome import Outcome
from keyfob.credentials.renewal import Renewal
from keyfob.errors import KeyfobError
from keyfob.host import Host
from keyfob.plugin import Context, NoOptions, ProviderInfo
from keyfob.stores.file import FileStore
from keyfob_openai import warm
from keyfob_openai.claims import claims, email, openai, text, time_of
from keyfob_openai.jsontext import parsed
from keyfob_openai.plugin import OpenAI

from .strategies import CANARY, MEMORY, NOW, answers, bodies, files, mutated, sound, token, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAB = '[model_providers.x]\nbase_url = "http://127.0.0.1:1/v1"\nrequires_openai_auth = true\n'
KEYED = '[model_providers.x]\nbase_url = "https://lab.example/v1"\nenv_key = "LAB_KEY"\n'

often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seldom = settings(often, max_examples=20)


@contextmanager
def home(data: bytes, mode: int = 0o600) -> Iterator[Path]:
    """A CODEX_HOME with this auth.json, which nothing but a renewal may change."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "auth.json"
        path.write_bytes(data)
        path.chmod(mode)
        (Path(folder) / "config.toml").write_text(LAB)
        yield path


def whole(path: Path) -> Host:
    """A host of that CODEX_HOME, without a network."""
    folder = str(path.parent)
    environ = {
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://127.0.0.1:1/oauth/token",
        "CODEX_AUTHAPI_BASE_URL": "http://127.0.0.1:1/api",
    }
    places = Places(folder, system=f"{folder}/system", cache=f"{folder}/cache")
    return Host(environ, places=places, warn=lambda _: None, clock=lambda: NOW)


def told(do: Callable[[], Any]) -> tuple[Any, str]:
    """What it returns, or None, and all that its error says, where it comes from included."""
    try:
        return do(), ""
    except KeyfobError as error:
        return None, f"{error} {error.hint} {error!r} " + "".join(traceback.format_exception(error))


# Reading


@pytest.mark.slow
@often
@given(files(), st.sampled_from([0o600, 0o644]))
@example(b"", 0o600)
@example(b"[" * 100_000, 0o600)
@example(b'{"auth_mode": "apikey", "OPENAI_API_KEY": ' + b"9" * 5000 + b"}", 0o600)
def test_any_auth_json_gives_a_credential_or_an_error(data: bytes, mode: int) -> None:
    """It is read in every way there is, and stays as it is."""
    with home(data, mode) as path:
        provider = whole(path).provider("x")
        credential, said = told(provider.credential)
        state, more = told(provider.state)
        explained = repr(provider.explain())
        assert path.read_bytes() == data
    assert CANARY not in said + more + explained
    assert state is not None
    assert state.ready or credential is None


@pytest.mark.slow
@often
@given(
    files(), st.sampled_from([0o600, 0o600, 0o644]), st.sampled_from([None, b"", b'{"intent":null}', b'{"intent":{}}'])
)
def test_the_warm_path_answers_as_the_whole_way_or_not_at_all(data: bytes, mode: int, journal: bytes | None) -> None:
    """For any file; and where it answers, nothing has to be asked of anybody."""
    with home(data, mode) as path:
        if journal is not None:
            Path(f"{path}.keyfob.journal").write_bytes(journal)
        found = warm.token(str(path), NOW)
        if found is not None:
            credential, said = told(whole(path).provider("x").credential)
            # What cannot stand in a header the command does not print either.
            assert said == "" or "cannot stand in an HTTP header" in said
            assert credential is None or credential.token == found.strip()


keys = st.fixed_dictionaries(
    {},
    optional={
        "origin": st.sampled_from(["https://lab.example", "https://other.example", "https://lab.example:443", None, 1]),
        "api_key": st.sampled_from(["sk-1", "", " ", " sk-1", "sk-\n1", "sk-é", 5, None]),
        "more": values,
    },
)


@pytest.mark.slow
@often
@given(keys.map(lambda found: json.dumps(found).encode()) | files(), st.sampled_from([0o600, 0o600, 0o644]))
@example(b'{"origin": "https://lab.example", "api_key": "sk-1"}', 0o600)
def test_the_warm_path_answers_for_a_stored_key_as_the_whole_way_or_not_at_all(data: bytes, mode: int) -> None:
    """For any file; and for the sound one of that origin it does."""
    with home(b"{}") as path:
        (path.parent / "config.toml").write_text(KEYED)
        stored = path.parent / "keyfob" / "envkey" / "x.json"
        stored.parent.mkdir(parents=True)
        stored.write_bytes(data)
        stored.chmod(mode)
        found = warm.key(str(stored), "https://lab.example")
        credential, said = told(whole(path).provider("x").credential)
        if found is not None:
            assert said == "" or "cannot stand in an HTTP header" in said
            assert credential is None or credential.token == found
        elif mode == 0o600:
            assert credential is None


def test_the_warm_path_answers_for_sound_logins() -> None:
    """The property above would hold of one that never does."""
    chatgpt = {"id_token": token(), "access_token": token(), "refresh_token": "rt", "account_id": "acct-1"}
    for data, expected in (
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"}, "sk-1"),
        ({"auth_mode": "chatgpt", "tokens": chatgpt, "last_refresh": "2027-01-15T07:50:00.5Z"}, token()),
    ):
        with home(json.dumps(data).encode()) as path:
            assert warm.token(str(path), NOW) == expected


# JWTs and JSON


@often
@given(st.text(max_size=40) | st.text('abc.=-_/+{}"é\ud800', max_size=30) | values.map(json.dumps))
def test_any_text_is_a_jwt_or_none(word: str) -> None:
    """And what it claims can be asked for."""
    for candidate in (word, f"a.{word}.c", token(own=word)):
        found = claims(candidate)
        if found is not None:
            assert isinstance(found, dict)
            time_of(found, "exp")
            email(found)
            text(openai(found), "chatgpt_account_id")


@pytest.mark.slow
@often
@given(st.dictionaries(st.sampled_from(["exp", "iat"]), values))
def test_a_time_is_one_that_makes_sense(found: dict[str, Any]) -> None:
    """Or none."""
    at = time_of(found, "exp")
    assert at is None or 0 <= at < 10**11


@pytest.mark.slow
@often
@given(
    st.text(max_size=20)
    | values.map(json.dumps)
    | st.tuples(values, st.text(" \n\t,}]", max_size=3)).map(lambda pair: json.dumps(pair[0]) + pair[1])
)
def test_json_is_read_as_by_json_itself(word: str) -> None:
    """But for numbers that are none."""
    try:
        found = parsed(word)
    except (ValueError, RecursionError):
        found = None
        try:
            assert json.loads(word) is None or "NaN" in word or "Infinity" in word
        except ValueError:
            return
    assert repr(found) == repr(json.loads(word)) or found is None


# Renewing


class Lab:
    """One stored ChatGPT login, its renewal, and an issuer that answers what is scripted."""

    def __init__(self, folder: str, data: Any, answered: list[Answer | Exception]) -> None:
        self.path = os.path.join(folder, "auth.json")
        self.store = FileStore(self.path)
        Path(self.path).write_text(json.dumps(data), encoding="utf-8")
        os.chmod(self.path, 0o600)
        self.presented: list[str] = []
        self._answered = answered
        context = Context(environ={}, clock=lambda: NOW, send=self.send)
        self.records = OpenAI().records(ProviderInfo("x", "x", None), NoOptions(), context)
        rest: dict[str, Any] = {"shared": True, "command": "keyfob login x", "sleep": lambda _: None}
        self.renewal = Renewal("x", self.store, self.records, self.send, lambda: NOW, **rest)

    def send(self, exchange: Exchange) -> Answer:
        """The next answer; at last, none."""
        self.presented.append(str(json.loads(exchange.body).get("refresh_token")))
        found = self._answered.pop(0) if self._answered else UnreachableError("gone")
        if isinstance(found, Exception):
            raise found
        return found

    def run(self) -> str:
        """Renew; all that an error says."""
        known, said = told(self.renewal.current)
        return said or told(lambda: self.renewal.run(known))[1]

    @property
    def kept(self) -> bytes:
        """All that is on disk beside the login, but for the staged answer, which is a secret."""
        folder = Path(self.path).parent
        return b"".join(each.read_bytes() for each in folder.iterdir() if each.suffix in (".journal", ".lock"))


EXPIRED: dict[str, Any] = {
    "first": [1],
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": None,
    "tokens": {
        "zzz": {"y": None},
        "id_token": token(),
        "access_token": token(exp=NOW - 1),
        "refresh_token": f"rt-{CANARY}",
        "account_id": "acct-1",
    },
    "last_refresh": "2027-01-15T06:50:00.000000000Z",
    "last": "é",
}
outcomes = st.builds(Answer, st.sampled_from([200, 201, 400, 401, 403, 429, 500]), bodies) | st.sampled_from(
    [UnreachableError("ConnectError"), UnansweredError("ReadTimeout")]
)


@pytest.mark.slow
@often
@given(st.lists(outcomes, min_size=1, max_size=3))
@example([Answer(200, json.dumps({"refresh_token": "rt-2", "access_token": "\ud800"}).encode())])
def test_any_answer_of_an_issuer_loses_nothing(answered: list[Answer | Exception]) -> None:
    """A refresh token that came is stored, or else the login is as it was; and it says no more than is its own."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        lab = Lab(folder, EXPIRED, list(answered))
        said = lab.run()
        after = json.loads(Path(lab.path).read_text())
        assert list(after) == list(EXPIRED)
        assert list(after["tokens"]) == list(EXPIRED["tokens"])
        assert (after["first"], after["last"], after["tokens"]["zzz"]) == ([1], "é", {"y": None})
        assert CANARY not in said
        assert CANARY.encode() not in lab.kept
        taken = [each for each in answered[: len(lab.presented)] if isinstance(each, Answer) and each.ok]
        sent = [found["refresh_token"] for found in (each.document() for each in taken) if _is_token(found)]
        assert after["tokens"]["refresh_token"] == (sent or [f"rt-{CANARY}"])[-1]


def _is_token(found: dict[str, Any]) -> bool:
    value = found.get("refresh_token")
    return isinstance(value, str) and bool(value.strip())


@pytest.mark.slow
@often
@given(sound() | mutated(), answers)
def test_a_renewal_keeps_every_other_field(data: dict[str, Any], answered: dict[str, Any]) -> None:
    """Of whatever login; one that is not renewed stays as it is, byte for byte, and one that is can be read again."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        lab = Lab(folder, data, [Answer(200, json.dumps(answered).encode())])
        before = Path(lab.path).read_bytes()
        said = lab.run()
        after = Path(lab.path).read_bytes()
        assert not lab.presented or told(lab.renewal.current)[1] == ""
    assert CANARY not in said
    assert lab.presented or after == before
    new = json.loads(after)
    assert [name for name in new if name in data] == list(data)
    assert without(new, "tokens", "last_refresh") == without(data, "tokens", "last_refresh")
    if lab.presented:
        renewed = ("id_token", "access_token", "refresh_token")
        assert list(new["tokens"]) == list(data["tokens"])
        assert without(new["tokens"], *renewed) == without(data["tokens"], *renewed)


def without(table: dict[str, Any], *names: str) -> dict[str, Any]:
    """The table but for these fields."""
    return {name: value for name, value in table.items() if name not in names}


fingerprints = st.sampled_from(["", "x", "own"])
whens = st.floats(NOW - 10**6, NOW + 10**6) | st.sampled_from([0.0, -1.0, 1e300])
journals = st.builds(
    Journal,
    intent=st.none() | st.builds(Intent, fingerprints, st.integers(0, 3), st.booleans(), whens),
    outcome=st.none()
    | st.builds(Outcome, fingerprints, st.text(max_size=4), st.text(max_size=4), whens, st.booleans(), whens),
    forced_at=whens,
)


def _own(journal: Journal, fingerprint: str) -> bytes:
    return journal.dumped().replace(b'"own"', json.dumps(fingerprint).encode())


@pytest.mark.slow
@often
@given(journals, st.none() | st.tuples(fingerprints, bodies), st.binary(max_size=30), st.integers(0, 3))
@example(Journal(intent=Intent("own", 2, sent=True, at=1e300)), None, b"", 0)
def test_whatever_an_earlier_renewal_left_the_login_is_not_lost(
    journal: Journal, stage: tuple[str, bytes] | None, noise: bytes, damage: int
) -> None:
    """Journal and stage of every kind, whole or damaged: the login stays, or a staged answer takes its place."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        lab = Lab(folder, EXPIRED, [])
        fingerprint = lab.renewal.current().fingerprint
        Path(f"{lab.path}.keyfob.journal").write_bytes(noise if damage == 1 else _own(journal, fingerprint))
        if stage is not None:
            staged = Stage(fingerprint if stage[0] == "own" else stage[0], stage[1], NOW)
            Path(f"{lab.path}.keyfob.stage").write_bytes(noise if damage == 2 else staged.dumped())
        said = lab.run()
        after = json.loads(Path(lab.path).read_text())["tokens"]["refresh_token"]
        assert CANARY not in said
        assert CANARY.encode() not in lab.kept
        answer = json.loads(stage[1]) if stage is not None and _is_object(stage[1]) else {}
        rolled = stage is not None and stage[0] == "own" and damage != 2 and _is_token(answer)
        assert after == (answer["refresh_token"] if rolled else f"rt-{CANARY}")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


@pytest.mark.slow
@often
@given(st.binary(max_size=60) | values.map(lambda found: json.dumps(found).encode()) | journals.map(Journal.dumped))
@example(b'{"parent": "x", "bytes": 0, "at": ' + b"9" * 400 + b"}\n")
def test_any_journal_and_stage_can_be_read(data: bytes) -> None:
    """What cannot is as good as none."""
    assert isinstance(Journal.parsed(data), Journal)
    stage = Stage.parsed(data)
    assert stage is None or stage == Stage.parsed(stage.dumped())


@seldom
@given(st.text(max_size=10), st.binary(max_size=20), st.floats(0, 1e10), st.none() | st.floats(0, 1e10))
def test_a_stage_is_read_as_it_was_written(parent: str, body: bytes, at: float, date: float | None) -> None:
    """Whatever the answer is."""
    stage = Stage(parent, body, at, date)
    assert Stage.parsed(stage.dumped()) == stage
    assert Stage.parsed(stage.dumped()[:-1]) is None
