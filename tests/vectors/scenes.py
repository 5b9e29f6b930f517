"""What the recorder did to the disk or to the issuer in the middle of a run; recorded is only that it did something.

Each is told by the run's name, its `about`, and what was there afterwards.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keyfob.testing.model_server import Answer

from .tokens import login

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recorded import Vector

COMPUTED = "<computed>"

NEW = login("new")
_REPLIES: Mapping[str, Mapping[str, str]] = {
    "refresh_reply_bad_id_token": {**NEW, "id_token": "not-a-jwt"},
    "refresh_reply_no_refresh_token": {name: NEW[name] for name in ("id_token", "access_token")},
    "refresh_reply_other_account": login("new", "acct-2"),
    "refresh_reply_still_expired": login("new", exp="-30"),
    "refresh_concurrent_5": login("gen1"),
}
_SLOW = "the issuer takes 0.5 s"
_AT_THE_MODEL = ("refresh_401_disk_changed_other_account", "refresh_401_disk_changed_same_account")
_AT_THE_ISSUER = ("refresh_disk_changed_during_refresh_other", "refresh_disk_changed_during_refresh_same")
_REMOVED = "refresh_disk_removed_during_refresh"
_DISK_AGAIN = "refresh_401_disk_changed_same_account_401_again"


def script(vector: Vector) -> dict[str, list[Any]]:
    """The server's whole script: what was recorded, with an issuer's ordinary answers beside it."""
    written = vector.answers
    ordinary = Answer(body=_REPLIES.get(vector.name, NEW), delay_s=0.2 if _SLOW in vector.run.get("about", "") else 0)
    issuer = written.get("token.refresh", [None])
    whole: dict[str, list[Any]] = {
        "/oauth/token": [ordinary if each in (None, COMPUTED) else each for each in issuer],
        "/oauth/revoke": [200 if each is None else each for each in written.get("revoke", [None])],
    }
    if "whoami" in written:
        whole["/api/accounts/v1/user-auth-credential/whoami"] = list(written["whoami"])
    if "responses" in written:
        whole["responses"] = [401 if each == COMPUTED else each for each in written["responses"]]
    return whole


def written_by_another(vector: Vector, key: str) -> str | None:
    """What another program writes into auth.json while a request of this kind is under way: "" removes the file."""
    if vector.name == _REMOVED:
        return "" if key == "token.refresh" else None
    if vector.name == _DISK_AGAIN and key == "responses":
        return _after(vector, login("disk"))
    changes = vector.name in (_AT_THE_MODEL if key == "responses" else _AT_THE_ISSUER)
    return vector.run["auth_after"] if changes else None


def _after(vector: Vector, tokens: Mapping[str, str]) -> str:
    data = json.loads(vector.run["auth_before"])
    return json.dumps({**data, "tokens": {**data["tokens"], **tokens}}, ensure_ascii=False)


@dataclass(frozen=True)
class Held:
    """A lock that another process held: the file below CODEX_HOME, and its kind: `flock` or `posix`."""

    name: str
    kind: str


def held(vector: Vector) -> Held | None:
    """The lock that was held during the run."""
    found = re.match(r"another process holds (\S+) \((flock|posix)\)", vector.run.get("about", ""))
    return Held(found[1], found[2]) if found else None
