"""What an entry adds to a request, once per credential: headers by name, and query parameters."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from keyfob.credentials.credential import check_header
from keyfob.errors import IllegalHeaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from keyfob.credentials.credential import Credential

_NOTHING: dict[str, str] = {}
# They say where a body ends. A wrong one makes two requests of one, or half a one.
_FRAMING = frozenset({"content-length", "transfer-encoding"})


def check_name(name: str) -> None:
    """Raise IllegalHeaderError for what is no header's name, or one that follows from the body."""
    check_header(name, "", name)
    if name.lower() in _FRAMING:
        raise IllegalHeaderError(f"the header {name} follows from the body: only the client can set it")


class Merged:
    """The headers for one credential, and what they were made of: they are made again only when that changes."""

    __slots__ = ("authorization", "credential", "found", "pairs")

    def __init__(self, credential: Credential, found: dict[str, str], pairs: tuple[tuple[str, str], ...]) -> None:
        self.credential = credential
        self.found = found
        self.pairs = pairs
        self.authorization = any(name.lower() == "authorization" for name, _ in pairs)

    def set_on(self, headers: MutableMapping[str, str]) -> None:
        """Set them. An `Authorization` that is not among them was put there by the client library, and goes."""
        if not self.authorization:
            headers.pop("Authorization", None)
        for name, value in self.pairs:
            headers[name] = value

    def take_from(self, headers: MutableMapping[str, str]) -> None:
        """Remove what `set_on` would replace: it must not go where the credential does not."""
        headers.pop("Authorization", None)
        for name, _ in self.pairs:
            headers.pop(name, None)


class Additions:
    """The headers and query parameters of one entry; `names` maps headers to environment variables.

    required: headers that policy demands, whatever else sets them.
    """

    def __init__(
        self,
        fixed: Mapping[str, str],
        names: Mapping[str, str],
        query: Mapping[str, str],
        environ: Mapping[str, str],
        *,
        required: Mapping[str, str] = _NOTHING,
    ) -> None:
        for name in [*fixed, *names]:
            check_name(name)
        for name, value in fixed.items():
            check_header(name, value.strip(), f"http_headers: the value of {name}")
        self.query = dict(query)
        self._fixed = {name: value.strip() for name, value in fixed.items()}
        self._names = dict(names)
        self._environ = environ
        self._required = required
        self._check: Callable[[Credential], None] = lambda _: None
        self._last: Merged | None = None

    def checked(self, check: Callable[[Credential], None]) -> Additions:
        """The same for one client. check: raises for a credential that must not be sent; asked once about each."""
        own = copy.copy(self)
        own._check, own._last = check, None
        return own

    @property
    def header_names(self) -> tuple[str, ...]:
        """The names of the headers that the entry itself may add."""
        return tuple(dict.fromkeys([*self._fixed, *self._names, *self._required]))

    def merged(self, credential: Credential) -> Merged:
        """All headers to set: `http_headers`, `env_http_headers`, the credential's, the required ones; the last wins.

        Raises IllegalHeaderError that names the variable whose value cannot be sent, and what `check` raises.
        """
        found = self._from_environment() if self._names else _NOTHING
        last = self._last
        if last is not None and last.credential is credential and last.found == found:
            return last
        self._check(credential)
        by_name: dict[str, tuple[str, str]] = {}
        for source in (self._fixed, found, credential.headers, self._required):
            by_name.update({name.lower(): (name, value) for name, value in source.items()})
        self._last = merged = Merged(credential, found, tuple(by_name.values()))
        return merged

    def _from_environment(self) -> dict[str, str]:
        """The values that are set; a header whose variable is unset or blank is left out, as Codex does."""
        found = {}
        for name, variable in self._names.items():
            value = self._environ.get(variable, "").strip()
            if value:
                check_header(name, value, f"env_http_headers: the value of {variable}")
                found[name] = value
        return found
