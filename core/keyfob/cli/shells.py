"""The completion scripts of bash, zsh and fish."""

from __future__ import annotations

import shlex
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Kind(Enum):
    """Values that are looked up when they are asked for."""

    IDS = "ids"
    FILES = "files"


Values: TypeAlias = tuple[str, ...] | Kind
_GENERAL = "-c --config -p --profile -h --help --version"


class Option(NamedTuple):
    """An option under all its names; `values` is None where it takes none."""

    names: tuple[str, ...]
    help: str
    values: Values | None


class Words(NamedTuple):
    """What can stand after one command, whose name can have two words. second: behind one of the `arguments`."""

    command: str
    help: str
    options: Sequence[Option]
    arguments: Values
    second: Values | None = None


_BASH = """\
# Completion of keyfob for bash.
_keyfob() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' list='' ids='' files='' word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -c | --config | -p | --profile) ((i++)) ;;
            --) [[ $command == exec || $command == *' export' ]] && { compopt -o default; return; } ;;
            -*) ;;
            *)
                case "$command $word" in
                    @TWO@) command="$command $word" ;;
                    *) command=${command:-$word} ;;
                esac
                ;;
        esac
    done
    case "$command $previous" in
@VALUES@
        *)
            case $command in
@COMMANDS@
            esac
            ;;
    esac
    COMPREPLY=($(compgen -W "$list" -- "$current"))
    if [[ $ids ]]; then
        while IFS= read -r word; do
            printf -v word %q "$word"
            [[ $word == "$current"* ]] && COMPREPLY+=("$word")
        done < <(keyfob completion --ids 2>/dev/null)
    fi
    [[ $files ]] && compopt -o default
}
complete -F _keyfob keyfob
"""

_ZSH = """\
#compdef keyfob
# Completion of keyfob for zsh.
_keyfob() {
    local command='' list='' ids='' files='' word i
    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        case $word in
            (-c | --config | -p | --profile) ((i++)) ;;
            (--)
                if [[ $command == exec || $command == *' export' ]]; then
                    words=("${(@)words[i + 1, -1]}")
                    ((CURRENT -= i))
                    _normal
                    return
                fi
                ;;
            (-*) ;;
            (*)
                case "$command $word" in
                    (@TWO@) command="$command $word" ;;
                    (*) command=${command:-$word} ;;
                esac
                ;;
        esac
    done
    case "$command $words[CURRENT - 1]" in
@VALUES@
        (*)
            case $command in
@COMMANDS@
            esac
            ;;
    esac
    [[ -n $list ]] && compadd -- ${=list}
    [[ -n $ids ]] && compadd -- "${(@f)$(keyfob completion --ids 2>/dev/null)}"
    [[ -n $files ]] && _files
    return 0
}
if [[ $funcstack[1] == _keyfob ]]; then _keyfob "$@"; else compdef _keyfob keyfob; fi
"""

_FISH = """\
# Completion of keyfob for fish.
complete -c keyfob -f
complete -c keyfob -s c -l config -x -d 'set a key of the configuration'
complete -c keyfob -s p -l profile -x -d 'read a profile over config.toml'
"""


def bash(commands: Sequence[Words]) -> str:
    """The script for bash."""
    return _filled(_BASH, commands, "{})")


def zsh(commands: Sequence[Words]) -> str:
    """The script for zsh."""
    return _filled(_ZSH, commands, "({})")


def _filled(script: str, commands: Sequence[Words], pattern: str) -> str:
    """The script with its cases filled in: what follows an option that takes a value, and what follows a command."""
    after_options = [f"        {pattern.format(case)} {follows} ;;" for case, follows in _after_options(commands)]
    after_commands = [f"{' ' * 16}{pattern.format(case)} {follows} ;;" for case, follows in _after_commands(commands)]
    two = _any(words.command for words in commands if " " in words.command)
    filled = script.replace("@VALUES@", "\n".join(after_options)).replace("@COMMANDS@", "\n".join(after_commands))
    return filled.replace("@TWO@", two).rstrip("\n")


def _after_options(commands: Sequence[Words]) -> Iterator[tuple[str, str]]:
    """The options of each command that take a value, then the words that another follows; with what can follow."""
    for words in commands:
        for option in words.options:
            if option.values is not None:
                yield _any(f"{words.command} {name}" for name in option.names), _set(option.values)
    for words in commands:
        if words.second is not None and not isinstance(words.arguments, Kind):
            yield _any(f"{words.command} {word}" for word in words.arguments), _set(words.second)


def _after_commands(commands: Sequence[Words]) -> Iterator[tuple[str, str]]:
    """No command, the words that only begin one, and each command; with what can follow."""
    names = _after("", commands)
    yield _quoted(""), f"list={_quoted(f'{names} {_GENERAL}')}"
    for word in _openings(commands):
        yield _quoted(word), f"list={_quoted(_after(f'{word} ', commands))}"
    for words in commands:
        more = [_after(f"{words.command} ", commands), *(name for option in words.options for name in option.names)]
        yield _quoted(words.command), _set(words.arguments, more)


def _any(names: Iterable[str]) -> str:
    """A pattern that each of them matches."""
    return " | ".join(map(_quoted, names))


def _after(begun: str, commands: Sequence[Words]) -> str:
    """The words that go on with the name of a command."""
    names = [words.command.removeprefix(begun) for words in commands if words.command.startswith(begun)]
    return " ".join(dict.fromkeys(name.partition(" ")[0] for name in names))


def _openings(commands: Sequence[Words]) -> list[str]:
    """The words that only begin a name of two."""
    whole = [words.command for words in commands]
    return [word for word in _after("", commands).split() if word not in whole]


def _set(values: Values, more: Sequence[str] = ()) -> str:
    """The assignments that say what can follow."""
    if isinstance(values, Kind):
        return f"{values.value}=yes" + (f" list={_quoted(' '.join(more).strip())}" if more else "")
    return f"list={_quoted(' '.join([*values, *more]).strip())}"


def _quoted(text: str) -> str:
    return f"'{text}'"


def fish(commands: Sequence[Words]) -> str:
    """The script for fish."""
    begun = [f"complete -c keyfob -n __fish_use_subcommand -a {word}" for word in _openings(commands)]
    return _FISH + "\n".join([*begun, *(line for words in commands for line in _fish_lines(words))])


def _fish_lines(words: Words) -> Iterator[str]:
    seen = [f"__fish_seen_subcommand_from {word}" for word in words.command.split()]
    before = f"'{seen[0]}'" if seen[1:] else "__fish_use_subcommand"
    yield f"complete -c keyfob -n {before} -a {words.command.split()[-1]} -d {shlex.quote(words.help)}"
    here = f"complete -c keyfob -n '{'; and '.join(seen)}'"
    if words.arguments:
        yield f"{here} {_fish_values(words.arguments)}"
    if words.second is not None and not isinstance(words.arguments, Kind):
        first = f"__fish_seen_subcommand_from {' '.join(words.arguments)}"
        yield f"complete -c keyfob -n '{'; and '.join([*seen, first])}' {_fish_values(words.second)}"
    for option in words.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        value = "" if option.values is None else f" -r {_fish_values(option.values)}"
        yield f"{here} {names}{value} -d {shlex.quote(' '.join(option.help.split()))}"


def _fish_values(values: Values) -> str:
    if values is Kind.FILES:
        return "-F"
    listed = "(keyfob completion --ids 2>/dev/null)" if isinstance(values, Kind) else " ".join(values)
    return f"-f -a {shlex.quote(listed)}" if listed else "-f"
