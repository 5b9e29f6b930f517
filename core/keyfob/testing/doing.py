"""What a program does to the world, as Python's audit events name it (PEP 578): it connects, looks up, runs, forks."""

from typing import Final

DOING: Final = frozenset({
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
})  # fmt: skip
