"""A program of many threads and tasks, run by itself: for each line on stdin, a round of requests with a new host.

A line is JSON: `home`, a CODEX_HOME; `deadline`, seconds to wait for a lock, where it is not the usual; `threads`;
`tasks`, in each of two event loops; `cancelled`, how many more of those are cancelled at once; `fork`, whether the
process forks in the middle, and the child sends requests too. It answers with the sorted outcomes of the requests:
"ok", the status, or the error's code and sentence.
"""

import asyncio
import contextlib
import functools
import json
import os
import sys
import threading
import warnings

import keyfob.httpx
from keyfob import Host
from keyfob.config.places import Places
from keyfob.errors import KeyfobError
from keyfob.stores import sidecar

warnings.simplefilter("ignore", DeprecationWarning)  # it is known that this process forks with threads


class Round:
    """One round: `outcomes`, in the order in which they came."""

    def __init__(self, home: str) -> None:
        self.host = Host(places=Places(home, system=f"{home}/system", cache=f"{home}/cache"))
        self.outcomes: list[str] = []

    def request(self, client: keyfob.httpx.Client) -> None:
        with self._told():
            self._note(client.get("models").status_code)

    async def request_soon(self, client: keyfob.httpx.AsyncClient) -> None:
        with self._told():
            self._note((await client.get("models")).status_code)

    def _note(self, status: int) -> None:
        self.outcomes.append("ok" if status == 200 else str(status))

    @contextlib.contextmanager
    def _told(self):
        try:
            yield
        except KeyfobError as error:
            self.outcomes.append(f"{error.code}: {error}")

    def clients(self):
        """One for threads, and one for each event loop."""
        make, make_async = keyfob.httpx.Client, keyfob.httpx.AsyncClient
        return make("lab", host=self.host), [make_async("lab", host=self.host) for _ in range(2)]

    async def loop(self, client: keyfob.httpx.AsyncClient, tasks: int, cancelled: int) -> None:
        async with client:
            leaving = [asyncio.create_task(self.request_soon(client)) for _ in range(cancelled)]
            staying = [asyncio.create_task(self.request_soon(client)) for _ in range(tasks)]
            await asyncio.sleep(0)  # each has begun to wait
            for task in leaving:
                task.cancel()
            await asyncio.gather(*staying)
            await asyncio.gather(*leaving, return_exceptions=True)

    def run(self, threads: int, tasks: int, cancelled: int = 0, fork: bool = False) -> list[str]:
        # The child's are made here, too: OpenSSL cannot make a context in a child that was forked while another
        # thread made one.
        own, childs = self.clients(), self.clients() if fork else None
        running = self.start(own, threads, tasks, cancelled)
        if childs:
            self.outcomes += self.forked(childs)
        for thread in running:
            thread.join()
        own[0].close()
        return sorted(self.outcomes)

    def start(self, clients, threads: int, tasks: int, cancelled: int = 0) -> list[threading.Thread]:
        client, loops = clients
        running = [threading.Thread(target=self.request, args=(client,)) for _ in range(threads)]
        if tasks:
            for each in loops:
                target = functools.partial(asyncio.run, self.loop(each, tasks, cancelled))
                running.append(threading.Thread(target=target))
        for thread in running:
            thread.start()
        return running

    def forked(self, clients) -> list[str]:
        """What a child that is forked now gets, with the host that it inherits."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            self.outcomes = []
            for thread in self.start(clients, 2, 2):
                thread.join()
            os.write(write, json.dumps(self.outcomes).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        return json.loads(told)


def main() -> None:
    for line in sys.stdin:
        options = json.loads(line)
        sidecar.DEADLINE = options.pop("deadline", sidecar.DEADLINE)
        print(json.dumps(Round(options.pop("home")).run(**options)), flush=True)


if __name__ == "__main__":
    main()
