"""Reading the snapshot: what the configuration came to, so that the next start need not read it again.

It holds ids, plugin keys, names of variables, file and line; never a value that could be a secret, and no options. It
counts only while every file it was made of is the same as then, those that were absent too; a file that is damaged, not
ours or reached through a link does not count at all, and then everything is read as if there were none.

What is installed decides on few entries: most hold nothing that a plugin could claim. For those it is not looked at, so
that a hundred plugins cost them nothing.

On the warm path: imports only what is cheap. What writes it is snapshot_writer.py.
"""

import os
import stat
import sys
import zlib

from keyfob import __version__
from keyfob.config.places import site_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keyfob.config.places import Places

# With one of these in the environment the configuration is not all that decides.
BYPASS = ("KEYFOB_ASKING", "KEYFOB_DISABLE_PLUGINS")
_LIMIT = 64 * 1024 * 1024
_ABSENT = "-"
_IDENTITIES = ("watch", "policy", "installed")
# Of a provider's line, after its id.
FIELDS = 7


class Routed:
    """Where one provider's requests get their credential: its plugin, and the place that decided on that.

    variable: the one that may hold it. stored: the file that may. origin, configuration: what a stored one has to be
    bound to. Each is "" where there is none. alone: whether it is so whatever is installed.
    """

    __slots__ = ("alone", "configuration", "file", "line", "origin", "plugin", "stored", "variable")

    def __init__(
        self,
        plugin: str,
        file: str,
        line: str,
        variable: str = "",
        stored: str = "",
        origin: str = "",
        configuration: str = "",
        *,
        alone: bool = True,
    ) -> None:
        self.alone = alone
        self.plugin = plugin
        self.file = file
        self.line = line
        self.variable = variable
        self.stored = stored
        self.origin = origin
        self.configuration = configuration

    @property
    def fields(self) -> "list[str]":
        """As its line holds them."""
        return [self.plugin, self.file, self.line, self.variable, self.stored, self.origin, self.configuration]


class Snapshot:
    """A snapshot that was read and holds true."""

    __slots__ = ("_same", "_text", "default")

    def __init__(self, text: str) -> None:
        self._text = text
        self._same: bool | None = None
        self.default = self._find("default")[0]

    def routed(self, provider: str) -> "Routed | None":
        """Where `provider` is routed, or None if the snapshot does not know."""
        if not is_plain(provider):
            return None
        alone = self._find(f"provider\t{provider}")
        fields = alone if len(alone) == FIELDS or not self._installed_is_the_same() else self._find(f"open\t{provider}")
        return Routed(*fields, alone=fields is alone) if len(fields) == FIELDS and fields[0] else None

    @property
    def ids(self) -> "list[str] | None":
        """The ids of all providers it knows; None if something was installed since, which may bring others."""
        if not self._installed_is_the_same():
            return None
        heads = (line.split("\t", 2) for line in self._text.split("\n"))
        return [head[1] for head in heads if head[0] in ("provider", "open")]

    def _installed_is_the_same(self) -> bool:
        """Whether no plugin was installed, changed or removed since."""
        if self._same is None:
            start = self._text.find("\ninstalled\t")
            self._same = start < 0 or _holds(self._text[start + 1 :])
        return self._same

    def _find(self, head: str) -> "list[str]":
        start = self._text.find(f"\n{head}\t")
        if start < 0:
            return [""]
        start += len(head) + 2
        return self._text[start : self._text.index("\n", start)].split("\t")


def load(places: "Places", profile: "str | None" = None) -> "Snapshot | None":
    """The snapshot for these places, or None if there is none that holds true."""
    try:
        text = os.fsdecode(_read_private(path_of(places, profile)))
    except (OSError, ValueError):
        return None
    body = text.rpartition("\n")[0].rpartition("\n")[0]
    if text != framed(body) or not body.startswith(header(places, profile)):
        return None
    return Snapshot(body + "\n") if _holds(body) else None


def _holds(body: str) -> bool:
    for line in body.split("\n"):
        kind, _, rest = line.partition("\t")
        if kind in _IDENTITIES:
            path, _, identity = rest.partition("\t")
            if identity != identity_of(kind, path):
                return False
        elif kind == "default":
            break
    return True


def identify(path: str) -> str:
    """What tells one state of a file or folder from another, without opening it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return _ABSENT
    except OSError as error:
        return f"errno {error.errno}"
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def identify_policy(path: str) -> str:
    """The same for a file of the managed layer, which is read at every start, so that it cannot be passed by unread."""
    identity = identify(path)
    if identity == _ABSENT:
        return "link to nowhere" if os.path.lexists(path) else identity
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            return f"{identity} {zlib.crc32(file.read() or b'')}"  # nothing comes from a pipe, and no waiting
    except OSError:
        return "unreadable"


def identity_of(kind: str, path: str) -> str:
    """The same for a path of any kind that is watched."""
    return identify_policy(path) if kind == "policy" else identify(path)


def _read_private(path: str) -> bytes:
    """The bytes of a file that is ours alone; links are not followed. Raises OSError, ValueError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LIMIT:
            raise ValueError("not a snapshot")
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
            raise ValueError("not private")
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def header(places: "Places", profile: "str | None") -> str:
    """What one snapshot is for: this keyfob, this interpreter with its site folders, these places, this profile."""
    what = ["keyfob", __version__, sys.prefix, str(sys.hexversion), *site_folders()]
    return "\t".join([*what, places.codex_home, places.system, "" if profile is None else f"profile {profile}"]) + "\n"


def path_of(places: "Places", profile: "str | None") -> str:
    """The file that it is kept in."""
    name = _checksum(header(places, profile))
    return os.path.join(places.cache, f"{name}.snapshot")


def framed(body: str) -> str:
    """The whole text of the file: a body with its checksum."""
    return f"{body}\n{_checksum(body)}\n"


def _checksum(text: str) -> str:
    return f"{zlib.crc32(os.fsencode(text)):08x}"


def is_plain(text: str) -> bool:
    """Whether a text can stand in a field."""
    return not ("\t" in text or "\n" in text)
