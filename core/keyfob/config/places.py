"""Where the files are.

On the warm path: imports nothing that the interpreter has not loaded before it runs us. Paths are plain strings.
"""

import os
import site
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The layers that hold against the user's will: none of their files may be passed by unread.
POLICY = ("managed", "requirements")


def home_of(environ: "Mapping[str, str]") -> str:
    """The user's home folder."""
    return environ.get("HOME") or os.path.expanduser("~")


class Places:
    """The folders that one host reads and writes.

    codex_home: the real path of CODEX_HOME. system: where the administrator's files are. cache: where the snapshot is.
    """

    __slots__ = ("cache", "codex_home", "codex_home_fault", "system")

    def __init__(self, codex_home: str, *, system: str, cache: str, codex_home_fault: str | None = None) -> None:
        self.codex_home = codex_home
        self.system = system
        self.cache = cache
        self.codex_home_fault = codex_home_fault

    @classmethod
    def of(cls, environ: "Mapping[str, str]") -> "Places":
        """The places that the environment names: CODEX_HOME (default ~/.codex), XDG_CACHE_HOME (default ~/.cache)."""
        home = home_of(environ)
        given = environ.get("CODEX_HOME")
        cache = environ.get("XDG_CACHE_HOME") or ""
        if not os.path.isabs(cache):  # the XDG specification: a relative path is to be ignored
            cache = os.path.join(home, ".cache")
        codex_home = _real(given or os.path.join(home, ".codex"))
        return cls(
            codex_home,
            system=system_folder(environ),
            cache=os.path.join(cache, "keyfob"),
            codex_home_fault=_home_fault(codex_home, given),
        )

    def files(self, profile: "str | None" = None) -> "list[tuple[str, str]]":
        """Every configuration file that may be there, as (layer, path), lowest layer first.

        Beside each `config.toml` stands a `keyfob.toml`, merged over it. The last is `requirements.toml`: what an
        administrator demands of the others, which is not merged with them.
        """
        stems = [("system", os.path.join(self.system, "")), ("user", os.path.join(self.codex_home, ""))]
        if profile is not None:
            stems.append(("profile", os.path.join(self.codex_home, profile + ".")))
        stems.append(("managed", os.path.join(self.system, "managed_")))
        files = [(layer, stem + name) for layer, stem in stems for name in ("config.toml", "keyfob.toml")]
        return [*files, ("requirements", os.path.join(self.system, "requirements.toml"))]

    @property
    def dotenv(self) -> str:
        """The file whose variables are layered over the environment."""
        return os.path.join(self.codex_home, ".env")


def system_folder(environ: "Mapping[str, str]") -> str:
    """The administrator's folder: `/etc/codex`, or `%ProgramData%\\OpenAI\\Codex` on Windows."""
    if sys.platform == "win32":
        return os.path.join(environ.get("PROGRAMDATA") or r"C:\ProgramData", "OpenAI", "Codex")
    return "/etc/codex"


def site_folders() -> "list[str]":
    """The folders that installers write to, in the order in which they are searched.

    Not the current folder, nor `sys.path[0]`, nor PYTHONPATH.
    """
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in dict.fromkeys(sys.path) if folder in folders]


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a relative path in a current folder that was deleted; a NUL
        return path


def _home_fault(path: str, given: "str | None") -> "str | None":
    """Why CODEX_HOME cannot be used; one that was not set need not exist."""
    if os.path.isdir(path):
        return None
    named = f"CODEX_HOME is {given!r}" if given else path
    if os.path.lexists(path):
        return f"{named}{', which' if given else ''} is not a folder"
    return f"{named}, but there is no such folder" if given else None
