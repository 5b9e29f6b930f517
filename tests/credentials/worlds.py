"""A small world to renew in: one stored login, an issuer that rotates, and a clock that only tests move."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from keyfob.credentials.credential import Credential
from keyfob.credentials.exchange import Answer, Exchange
from keyfob.credentials.login import Login
from keyfob.credentials.record import About, Record
from keyfob.credentials.renewal import Renewal
from keyfob.credentials.renewals import Renewals
from keyfob.credentials.stored import StoredSource
from keyfob.errors import DamagedLoginError
from keyfob.stores.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyfob.credentials.record import Data
    from keyfob.credentials.renewals import Renew
    from keyfob.credentials.store import Store
    from keyfob.errors import Fault

LIFE = 36_000.0
"""Seconds that the issuer's access tokens live: long enough for the whole of an early window."""


class Logins:
    """What a plugin knows: a login is a flat JSON object."""

    methods = ("api-key",)
    variable = "TOKEN"
    missing = None

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}

    def environment_secret(self) -> str | None:
        return self.environ.get("TOKEN")

    def of_environment(self, secret: str) -> Record:
        return Record({}, secret)

    def read(self, data: Data) -> Record:
        if not isinstance(data.get("access"), str):
            raise DamagedLoginError("no access")
        return Record(
            data,
            data["access"],
            secret=data.get("refresh"),
            expires_at=data.get("expires_at"),
            issued_at=data.get("issued_at"),
            account=data.get("account"),
        )

    def complete(self, record: Record) -> Record:
        return record

    def credential(self, record: Record) -> Credential:
        return Credential.bearer(record.token, expires_at=record.expires_at)

    def data_for(self, method: str, secret: str) -> Data:
        return {"access": secret}

    def about(self, record: Record) -> About:
        return About("key")

    def exchange(self, record: Record, reason: str) -> Exchange:
        return Exchange("https://issuer.example/token", json.dumps([record.secret, reason]).encode())

    def absorb(self, record: Record, answer: Data) -> Data:
        new = {name: answer[name] for name in ("access", "refresh", "expires_at", "issued_at") if name in answer}
        if not new.keys() & {"access", "refresh"}:
            raise ValueError("no token")
        return {**record.data, **new}

    def refusal(self, answer: Answer) -> str | None:
        error = answer.document().get("error")
        return error if error in ("invalid_grant", "invalid_client") else None

    def revocation(self, data: Data) -> Exchange | None:
        return Exchange("https://issuer.example/revoke", data["refresh"].encode()) if "refresh" in data else None


REFUSED = Answer(400, b'{"error": "invalid_grant"}')


class ModelIssuer:
    """Renews each refresh token once; `revokes`: a spent one that is seen again ends them all.

    answers: what it does first, in order: an answer, an exception, or a function of the secret that returns either.
    An exception leaves the secret unspent; one in a tuple leaves it spent, and the answer is lost.
    """

    def __init__(self, world: World, *, revokes: bool = True) -> None:
        self._world = world
        self._revokes = revokes
        self.answers: list[Any] = []
        self.life = LIFE
        self.presented: list[str] = []
        self.reasons: list[str] = []
        self.revoked: list[str] = []
        self.current = {"R1"}
        self.count = 1

    def send(self, exchange: Exchange) -> Answer:
        if exchange.url.endswith("/revoke"):
            self.revoked.append(exchange.body.decode())
            return Answer(200, b"{}")
        secret, reason = json.loads(exchange.body)
        self.presented.append(secret)
        self.reasons.append(reason)
        planned = self.answers.pop(0) if self.answers else None
        if callable(planned):
            planned = planned(secret)
        if isinstance(planned, tuple):
            self.renewed(secret)
            raise planned[0]
        if isinstance(planned, Exception):
            raise planned
        return planned or self.renewed(secret)

    def renewed(self, secret: str, **fields: Any) -> Answer:
        if secret not in self.current:
            self.current = set() if self._revokes else self.current
            return REFUSED
        self.count += 1
        now = self._world.now
        self.current = self.current - {secret} | {f"R{self.count}"}
        new = {"access": f"A{self.count}", "refresh": f"R{self.count}", "expires_at": now + self.life, "issued_at": now}
        return Answer(200, json.dumps({**new, **fields}).encode())


class World:
    """One login, expired unless said otherwise, in a file of `folder`."""

    def __init__(self, folder: Path, *, shared: bool = True, revokes: bool = True, store: Store | None = None) -> None:
        self.now = 1_000_000.0
        self.path = folder / "auth.json"
        self.shared = shared
        self.logins = Logins()
        self.issuer = ModelIssuer(self, revokes=revokes)
        self.store: Store = store or FileStore(str(self.path))
        self.meanwhile: Callable[[], None] = lambda: None
        self.forbidden: Exception | None = None
        self.warned: list[Fault] = []
        self.announced: list[dict[str, Any]] = []
        self.sign_in()

    def sign_in(self, expires_in: float = -1.0, *, issued_ago: float = LIFE, **fields: Any) -> None:
        """Put a login there, as another program would."""
        times = {"expires_at": self.now + expires_in, "issued_at": self.now - issued_ago}
        self.store.write({"note": "kept", "account": "me", "access": "A1", "refresh": "R1", **times, **fields})

    def take_over(self, **fields: Any) -> None:
        """Another program renews the login and writes what it got."""
        answer = self.issuer.renewed(str(self.disk["refresh"]))
        self.store.write({**self.disk, **json.loads(answer.body), **fields})

    @property
    def disk(self) -> dict[str, Any]:
        """What is stored."""
        data = self.store.read()
        assert data is not None
        return dict(data)

    @property
    def record(self) -> Record:
        """The same as a record."""
        return self.logins.read(self.disk)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def announce(self, kind: str, **about: Any) -> None:
        self.announced.append({"kind": kind, **about})

    def judge(self, _: Record) -> None:
        if self.forbidden:
            raise self.forbidden

    def renewal(self, store: Store | None = None) -> Renewal:
        """A renewal, as a process has it that has just begun."""
        return Renewal(
            "corp",
            store or self.store,
            self.logins,
            self.issuer.send,
            self.clock,
            shared=self.shared,
            command="keyfob login corp --with-api-key",
            sleep=self.sleep,
            announce=self.announce,
        )

    def renewed(self, *, forced: bool = False, known: Record | None = None, store: Store | None = None) -> Record:
        """What it comes to."""
        return self.renewal(store).run(known or self.record, forced=forced)

    def login(self) -> Login:
        login = Login(
            "corp",
            self.logins,
            self.store,
            send=self.issuer.send,
            judge=self.judge,
            clock=self.clock,
            origin=None if self.shared else "https://corp.example",
            warn=self.warned.append,
            announce=self.announce,
        )
        login.renewal = self.renewal()
        return login

    def source(self, renew: Renew | None = None) -> StoredSource:
        """A source, as a process has it that has just begun."""
        return StoredSource(self.login(), renew or Renewals().start)
