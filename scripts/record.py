"""Records the exchanges of tests/exchanges.py with the demo server and with LiteLLM's proxy."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

import keyfob.httpx
from keyfob.testing.model_server import ModelServer

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tests import exchanges
from tests.e2e import parts

if TYPE_CHECKING:
    from keyfob.testing.model_server import Received


def main() -> int:
    """Record all there is; the exit code says whether everything was read as expected."""
    with ModelServer(accepts=has_right_key) as server:
        done = record("demo", server.origin)
    missing = parts.missing("litellm")
    if missing:
        print(f"litellm: left as it is: {missing}")
        return 0 if done else 1
    with (
        tempfile.TemporaryDirectory() as folder,
        ModelServer() as upstream,
        parts.litellm_proxy(upstream.base_url, [exchanges.KEYS["right"]], folder) as base_url,
    ):
        return 0 if record("litellm", base_url.removesuffix("/v1")) and done else 1


def has_right_key(received: Received) -> bool:
    """Whether a request carries the key that the demo server accepts."""
    return received.header("authorization") == f"Bearer {exchanges.KEYS['right']}"


def record(name: str, origin: str) -> bool:
    """Record each exchange with one server in a cassette of its own; whether each was read as expected."""
    recorder = exchanges.recorder(origin, mode="all")
    os.makedirs(exchanges.CASSETTES, exist_ok=True)
    good = True
    for exchange, key, expected in exchanges.EXCHANGES:
        file = f"{name}-{exchange.__name__}.yaml"
        path = os.path.join(exchanges.CASSETTES, file)
        if os.path.exists(path):
            os.unlink(path)  # "all" would add to it
        with (
            tempfile.TemporaryDirectory() as folder,
            recorder.use_cassette(file),
            keyfob.httpx.Client("recorded", host=exchanges.host(folder, origin, key)) as client,
        ):
            read = exchange(client)
        print(f"{file}: {'ok' if read == expected else f'read {read!r}, not {expected!r}'}")
        good = good and read == expected
    return good


if __name__ == "__main__":
    sys.exit(main())
