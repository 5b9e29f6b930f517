"""Flights: callers that ask one source for the same thing at the same time share one call, its failure too."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from keyfob.credentials.forks import forget_after_fork
from keyfob.errors import CredentialError, KeyfobError, PluginError

if TYPE_CHECKING:
    from keyfob.credentials.credential import Credential
    from keyfob.credentials.source import CredentialSource


class Flights:
    """The calls to one source's `get` that are under way, one for each rejected credential.

    provider: whose source it is, for messages.
    """

    def __init__(self, source: CredentialSource, provider: str) -> None:
        self._source = source
        self._provider = provider
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: the parent's calls end in the parent."""
        self._lock = threading.Lock()
        self._under_way: dict[int, Future[Credential]] = {}
        self._joined: set[int] = set()

    def get(self, rejected: Credential | None = None) -> Credential:
        """What the source's `get` returns or raises; made in this thread, unless somebody is already at it.

        Raises CredentialError, and PluginError for what a source may not raise.
        """
        future, mine = self._join(rejected)
        if mine:
            self._fly(future, rejected)
        return (None if mine else self._meanwhile(rejected)) or future.result()

    def start(self, rejected: Credential | None = None) -> Future[Credential]:
        """The same as a future, made in a thread of its own, which only the end of the program stops."""
        future, mine = self._join(rejected)
        if mine:
            self._fly_alone(future, rejected)
            return future
        credential = self._meanwhile(rejected)
        if credential is None:
            return future
        at_hand: Future[Credential] = Future()
        at_hand.set_result(credential)
        return at_hand

    def _meanwhile(self, rejected: Credential | None) -> Credential | None:
        """What serves while somebody else is at it already: one caller renews, the rest go on with what is good."""
        return self._source.peek() if rejected is None else None

    def _join(self, rejected: Credential | None) -> tuple[Future[Credential], bool]:
        with self._lock:
            future = self._under_way.get(id(rejected))
            if future is not None:
                self._joined.add(id(rejected))
                return future, False
            future = self._under_way[id(rejected)] = Future()
            future.set_running_or_notify_cancel()  # from here on a waiter's cancel() changes nothing
            return future, True

    def _fly(self, future: Future[Credential], rejected: Credential | None) -> None:
        try:
            credential = self._ask(rejected)
        except Exception as error:  # noqa: BLE001  # it is raised where it is waited for
            self._land(rejected)
            future.set_exception(error)
        except BaseException:  # Ctrl-C reaches one thread, and is not meant for those who wait for it
            if self._left_alone(rejected):
                future.set_exception(CredentialError("interrupted while the credential was fetched"))
            else:
                self._fly_alone(future, rejected)
            raise
        else:
            self._land(rejected)
            future.set_result(credential)

    def _fly_alone(self, future: Future[Credential], rejected: Credential | None) -> None:
        try:
            threading.Thread(target=self._fly, args=(future, rejected), name="keyfob-credential", daemon=True).start()
        except RuntimeError as error:  # no more threads; the interpreter is on its way out
            self._land(rejected)
            future.set_exception(CredentialError(f"{self._provider}: {error}"))

    def _left_alone(self, rejected: Credential | None) -> bool:
        """Whether nobody waits for this call but who makes it; then it is one no more."""
        with self._lock:
            if id(rejected) in self._joined:
                return False
            del self._under_way[id(rejected)]
            return True

    def _ask(self, rejected: Credential | None) -> Credential:
        try:
            return self._source.get(rejected=rejected)
        except KeyfobError:
            raise
        except Exception as error:
            raise PluginError(f"{self._provider}: its auth plugin broke: {type(error).__name__}") from error

    def _land(self, rejected: Credential | None) -> None:
        with self._lock:
            self._under_way.pop(id(rejected), None)
            self._joined.discard(id(rejected))
