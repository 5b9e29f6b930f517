"""What a credential costs for each request: every client beside itself without authentication, no network involved.

Each client runs in a process of its own, as it would in a program: the interpreter tunes itself to the classes that it
meets, and a second kind of client in one process would spoil that for both.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
from typing import TYPE_CHECKING, Any

import clients
import httpx
import measuring
from homes import BASE_URL, make_home, write_login
from measuring import Row

import keyfob.httpx
from keyfob import Host
from keyfob.config.places import Places
from keyfob.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    Make = Callable[[], clients.Case]

WARM_UP = 500
REQUESTS = 100
_GOALS = {"httpx": 4.0, "httpx2": 2.0}
_STORED = f'[model_providers.login]\nbase_url = "{BASE_URL}"\nrequires_openai_auth = true\n'
_FORK = multiprocessing.get_context("fork")


def measure(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    os.environ.update(clients.ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(os.path.join(folder, "home"), 20, f'env_key = "LAB_KEY"\n{_STORED}')
        with Issuer() as issuer:
            token = write_login(home, issuer.login())["tokens"]["access_token"]
        host = Host(places=Places(home.codex_home, system=os.path.join(folder, "system"), cache=home.cache))
        kinds = dict(_kinds(host, token))
        workers = {(kind, name): Worker(make) for kind, cases in kinds.items() for name, make in cases.items()}
        taken = measuring.interleaved(workers, rounds)
        for worker in workers.values():
            worker.end()
    for kind, cases in kinds.items():
        yield from _rows(kind, {name: taken[kind, name] for name in cases})


def _kinds(host: Host, login: str) -> Iterator[tuple[str, clients.Cases]]:
    """Each kind of client that is installed, by its name in the table. login: the token of the stored login."""
    yield f"httpx {httpx.__version__}", clients.of_httpx(httpx, keyfob.httpx, host, login)
    yield f"httpx {httpx.__version__}, async", clients.of_async_httpx(httpx, keyfob.httpx, host, login)
    if version := measuring.version("httpx2"):
        import httpx2

        from keyfob import httpx2 as ours

        yield f"httpx2 {version}", clients.of_httpx(httpx2, ours, host, login)
        yield f"httpx2 {version}, async", clients.of_async_httpx(httpx2, ours, host, login)
    if version := measuring.version("openai", "httpx2"):
        yield f"openai {version}", clients.of_openai(host)
        yield f"openai {version}, async", clients.of_async_openai(host)
    if version := measuring.version("azure-core"):
        yield f"azure-core {version}", clients.of_azure()
        yield f"azure-core {version}, async", clients.of_async_azure()
    if version := measuring.version("google-auth", "requests"):
        yield f"google-auth {version} (requests)", clients.of_google()
    if version := measuring.version("authlib", "httpx2"):
        yield f"authlib {version} (httpx2)", clients.of_authlib()
        yield f"authlib {version} (httpx2), async", clients.of_async_authlib()


class Worker:
    """A process with one client. Called: CPU microseconds for one of REQUESTS requests."""

    def __init__(self, make: Make) -> None:
        self._connection, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=work, args=(make, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def __call__(self) -> float:
        self._connection.send(REQUESTS)
        return self._answer()

    def end(self) -> None:
        """End it; raises UnexpectedError if what the server received last was not right, as at the start."""
        self._connection.send(0)
        self._answer()
        self._process.join()

    def _answer(self) -> Any:
        answer = self._connection.recv()
        if isinstance(answer, measuring.UnexpectedError):
            raise answer
        return answer


def work(make: Make, connection: Connection) -> None:
    """Make the client; then send as many requests as asked, until none are. First and last is the check."""
    try:
        case = make()
        case.send(WARM_UP)
        case.check()
        connection.send(None)
        gc.collect()
        gc.freeze()  # else each collection would walk what is imported for all the others
        while count := connection.recv():
            connection.send(case.send(count))
        case.check()
        connection.send(None)
    except measuring.UnexpectedError as error:
        connection.send(error)


def _rows(kind: str, taken: dict[str, list[float]]) -> Iterator[Row]:
    alternative, *_ = taken
    for name, figures in taken.items():
        more = measuring.difference(figures, taken[alternative])
        limit = _GOALS.get(kind.split()[0]) if name.startswith("keyfob") else None
        beside = "" if name == alternative else f"{more:+.1f} µs over {alternative}"
        goal = "" if limit is None else measuring.goal(more, limit, " µs")
        yield Row("credential for a request", f"{kind}: {name}", figures, "µs", beside, goal)


if __name__ == "__main__":
    measuring.main(measure, rounds=60)
