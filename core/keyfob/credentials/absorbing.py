"""What an issuer's answer makes of a login: a new state of it, its end, or nothing where its plugin breaks on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.headers import illegal_part
from keyfob.errors import UnsupportedLoginError

if TYPE_CHECKING:
    from typing import TypeGuard

    from keyfob.credentials.exchange import Answer
    from keyfob.credentials.journal import Stage
    from keyfob.credentials.record import Data, Record
    from keyfob.credentials.records import Rotation


def absorbed(rotation: Rotation, record: Record, stage: Stage) -> Data | None:
    """The record's data with a staged answer; None where no login comes of it, whatever the answer is.

    A login is what its plugin can read again. Anything else that were stored would end the login: no renewal gets past
    what cannot be read. What renews it is kept whatever else the answer holds, and judged afterwards.
    """
    try:
        data = rotation.absorb(record, stage.document())
        return data if _is_login(rotation, data) else None
    except Exception:  # noqa: BLE001  # an answer can be anything, and so can what a plugin makes of it
        return None


def refusal_of(rotation: Rotation, answer: Answer) -> str | None:
    """The code by which its issuer refuses the login for good; None if it may be tried again, whatever the answer is.

    The secret was presented: an exception would leave that unsettled, and after the next one the login would be lost.
    """
    try:
        code = rotation.refusal(answer)
    except Exception:  # noqa: BLE001  # as above
        return None
    return code if _is_text(code) else None


def _is_login(rotation: Rotation, data: Data) -> bool:
    try:
        record = rotation.read(data)
    except UnsupportedLoginError:  # it is sound: what renews it must not be lost
        return True
    times: tuple[object, ...] = (record.expires_at, record.issued_at)
    if not all(time is None or isinstance(time, int | float) for time in times):
        return False
    if record.secret is not None:
        return _is_text(record.secret) and isinstance(record.token, str)
    return _is_text(record.token) and illegal_part(record.token) is None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
