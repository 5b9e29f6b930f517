"""A small model server on loopback that records what it receives and answers as OpenAI's API does.

    with ModelServer(answers={"responses": [401, None]}) as server:   # 401 once, then the ordinary answer
        send_something_to(server.base_url)
    assert server.received[-1].header("authorization") == "Bearer k"

Standard library only.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from keyfob.testing.answers import REFUSED, Answer, Received, Scripted
from keyfob.testing.listener import Listener
from keyfob.testing.openai_api import ENDPOINTS, MODEL, TEXT, content_of, endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keyfob.testing.openai_api import Content

__all__ = ["MODEL", "TEXT", "Answer", "ModelServer", "Received", "Scripted"]


class ModelServer:
    """A model server on 127.0.0.1, for `with`, or `start()` and `stop()`.

    port: 0 takes a free one, and keeps it for later starts. answers: for an endpoint ("responses", "chat", "models") or
    a full path ("/other"), what to answer, in order; the last one repeats. A path goes before an endpoint; without
    either, the answer is the ordinary one, which is 404 for a path that is not an endpoint. accepts: decides from the
    request whether its key is right; False is answered with OpenAI's 401 and uses up nothing of `answers`. It is called
    in the threads of the server. text: what the model says; may be changed at any time.

    Raises ValueError if `answers` has an unknown endpoint or something that is not an answer.
    """

    def __init__(
        self,
        port: int = 0,
        answers: Mapping[str, Sequence[Scripted]] | None = None,
        accepts: Callable[[Received], bool] | None = None,
        *,
        text: str = TEXT,
    ) -> None:
        self.text = text
        self._port = port
        self._script = _script(answers or {})
        self._accepts = accepts
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._listener: Listener | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, in daemon threads, and return self.

        Raises RuntimeError if it runs already, OSError if the port is taken.
        """
        if self._listener is not None:
            raise RuntimeError("the model server runs already")
        self._listener = Listener(self._port, self._decide, self._content)
        self._port = self._listener.server_address[1]
        self._listener.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, also of answers that hang. What was received stays; may be repeated."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; also after `stop`, as the address of a server that is gone.

        Raises RuntimeError if it was never started: its port is not known.
        """
        if not self._port:
            raise RuntimeError("the model server has no address before it is started")
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The origin with `/v1`, as a provider's `base_url`. The server answers below other prefixes just the same."""
        return self.origin + "/v1"

    @property
    def received(self) -> list[Received]:
        """A copy of all requests so far. A request is in it before its answer is sent."""
        with self._changed:
            return self._received.copy()

    def wait_for(self, n: int, timeout: float = 10) -> list[Received]:
        """Wait until `n` requests in all were received, at most `timeout` seconds, and return all.

        Raises TimeoutError if there were fewer.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= n, timeout):
                raise TimeoutError(f"{len(self._received)} of {n} requests came within {timeout} s")
            return self._received.copy()

    def _decide(self, received: Received) -> Answer:
        """Decide the answer to a request, and record both."""
        accepted = self._accepts is None or self._accepts(received)
        with self._changed:
            answer = self._next(received) if accepted else REFUSED
            self._received.append(replace(received, answered=None if answer.silent else answer.status))
            self._changed.notify_all()
        return answer

    def _content(self, answer: Answer, received: Received) -> Content:
        return content_of(answer, received, self.text)

    def _next(self, received: Received) -> Answer:
        if (received.header("upgrade") or "").lower() == "websocket":
            return Answer(426)  # Codex then goes on with a POST
        endpoint = endpoint_of(received)
        script = self._script.get(received.path) or self._script.get(endpoint or "")
        if not script:
            return Answer() if endpoint else Answer(404)
        return script.pop(0) if len(script) > 1 else script[0]


def _script(answers: Mapping[str, Sequence[Scripted]]) -> dict[str, list[Answer]]:
    known = ENDPOINTS.values()
    if unknown := [key for key in answers if not key.startswith("/") and key not in known]:
        raise ValueError(f"no such endpoint: {', '.join(unknown)}; there are {', '.join(known)}, or a /path")
    return {key: [Answer.of(scripted) for scripted in script] for key, script in answers.items()}
