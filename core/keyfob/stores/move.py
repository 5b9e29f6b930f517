"""Moving a login from one place to the other: at every moment it is in one of them, or in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.errors import OccupiedError, StoreError

if TYPE_CHECKING:
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore


def move(file: FileStore, keyring: KeyringStore, target: str, *, replace: bool = False) -> bool:
    """Move the login to `target`, `file` or `keyring`; whether there was anything to move.

    replace: even if another login is there. Raises OccupiedError, StoreError, DamagedLoginError; then the login is
    still where it was.
    """
    source, goal = (keyring, file) if target == "file" else (file, keyring)
    with source.lock(), source.writing():  # which are the goal's too
        data = source.read()
        if data is None:
            return False
        _check_free(source, goal, replace=replace)
        stage, journal = source.stage(), source.journal()
        goal.write(data)
        if stage is not None:
            goal.prepare(data)
            goal.put_stage(stage)
        if goal.read() != data or stage not in (None, goal.stage()):  # an ended move may have left the stage there
            raise StoreError(f"{goal.place} does not hold what was put there; the login stays in {source.place}")
        source.remove()
        goal.note(journal)  # where the file was a link, the journal lay beside its target
        return True


def _check_free(source: FileStore | KeyringStore, goal: FileStore | KeyringStore, *, replace: bool) -> None:
    there = goal.read()
    if there is not None and there != source.read() and not replace:
        raise OccupiedError(
            f"{goal.place} holds another login than {source.place}",
            hint="`keyfob store` shows both; with --replace the one there is lost",
        )
