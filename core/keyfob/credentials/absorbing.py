"""What an issuer's answer makes of a login: whether that is one at all is settled before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.headers import illegal_part
from keyfob.errors import UnsupportedLoginError

if TYPE_CHECKING:
    from keyfob.credentials.journal import Stage
    from keyfob.credentials.record import Data, Record, Rotation


def absorbed(rotation: Rotation, record: Record, stage: Stage) -> Data | None:
    """The record's data with a staged answer; None where no login comes of it, whatever the answer is.

    A login is what its plugin can read again and a request can carry. Anything else that were stored would end the
    login: no renewal gets past what cannot be read.
    """
    try:
        data = rotation.absorb(record, stage.document())
        return data if _is_login(rotation, data) else None
    except Exception:  # noqa: BLE001  # an answer can be anything, and so can what a plugin makes of it
        return None


def _is_login(rotation: Rotation, data: Data) -> bool:
    try:
        record = rotation.read(data)
    except UnsupportedLoginError:  # it is sound: what renews it must not be lost
        return True
    texts: tuple[object, ...] = (record.token,) if record.secret is None else (record.token, record.secret)
    times: tuple[object, ...] = (record.expires_at, record.issued_at)
    return (
        all(isinstance(text, str) and text.strip() for text in texts)
        and all(time is None or isinstance(time, int | float) for time in times)
        and illegal_part(record.token) is None
    )
