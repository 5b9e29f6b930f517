"""The event: what happened to a login or a credential, for whoever keeps watch. Names and times, never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["login", "renewal", "logout", "refused", "sent-elsewhere-blocked"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Where a field does not apply, or is not known, it is None.

    provider: its id. at: seconds since the epoch, by the host's clock. plugin: the key of its auth plugin. account:
    whose login it is, as its plugin names it. code: why; of `refused` the issuer's error code, `renewal-interrupted`,
    or `status-401` where the provider itself refused a credential; of `logout` `policy`, where a rule had it removed.
    origin: of `sent-elsewhere-blocked` the one that the credential was kept from, as `scheme://host:port`. place: where
    the login is kept, or was.
    """

    kind: Kind
    provider: str
    at: float
    plugin: str
    account: str | None = None
    code: str | None = None
    origin: str | None = None
    place: str | None = None


class Announce(Protocol):
    """How one provider's events are announced, see Event. Waits for nobody and raises nothing."""

    def __call__(
        self,
        kind: Kind,
        *,
        account: str | None = None,
        code: str | None = None,
        origin: str | None = None,
        place: str | None = None,
    ) -> None:
        """Announce one."""
        ...


def unheard(kind: Kind, **about: str | None) -> None:
    """Announce it to nobody."""
