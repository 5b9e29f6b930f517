"""Text for a terminal is harmless, and tables fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.cli.text import Cell, columns, folded, homely, printable, shown, table, unpainted

ROWS = [
    [Cell("PROVIDER"), Cell("BASE URL"), Cell("STATE")],
    [Cell("corp"), Cell("https://llm.example.com/v1"), Cell("ready")],
    [
        Cell("部署 🚀"),
        Cell("https://a-rather-long-name.example.com/deployments/one/v1"),
        Cell("broken: " + "why " * 20),
    ],
]


def lines(width, rows=ROWS):
    return list(table(rows, width, unpainted))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_fits_the_terminal(width):
    """No line is wider, letters of two columns counted as such."""
    assert max(map(columns, lines(width))) <= width


@pytest.mark.parametrize("width", [20, 60, 120])
def test_nothing_is_cut_off(width):
    """What is too long for its column is wrapped in it."""
    kept = "".join("".join(lines(width)).split())
    assert sorted(kept) == sorted("".join("".join(cell.text for row in ROWS for cell in row).split()))


@pytest.mark.slow
@given(st.text(), st.integers(-8, 120))
def test_a_sentence_is_broken_at_blanks_alone(sentence, width):
    """Nothing of it is lost; no line is wider but for one word that is, which stays whole to be copied."""
    parts = folded(sentence, width)
    assert " ".join(parts) == sentence
    assert all(columns(part) <= width or " " not in part.strip(" ") for part in parts)


def test_columns_stand_below_each_other():
    """The base URLs begin in one column, whatever stands before them."""
    places = {columns(line[: line.index("https")]) for line in lines(120) if "https" in line}
    assert len(places) == 1


def test_no_rows_are_no_lines():
    """An empty table is nothing."""
    assert lines(80, []) == []


@pytest.mark.slow
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.integers(1, 200))
def test_any_text_is_laid_out(words, width):
    """Whatever stands in a row, the table ends, and no letter of it is lost."""
    cells = [Cell(printable(text)) for text in words]
    kept = "".join("".join(lines(width, [cells])).split())
    assert sorted(kept) == sorted("".join("".join(cell.text for cell in cells).split()))


@given(st.text())
def test_printable_text_is_harmless(text):
    """No control character, no line break, nothing that turns the direction of writing, nothing without an encoding."""
    said = printable(text)
    said.encode()
    assert not {"\x1b", "\n", "\r", "\t", "\x9b", "\u202e", "\u2028", "\x7f"} & set(said)


def test_escapes_are_shown_as_escapes():
    """What was taken out can be seen."""
    assert printable("a\x1b[31m\nb\udcff") == r"a\x1b[31m\nb\udcff"
    assert printable("模型 é 🚀") == "模型 é 🚀"


def test_text_of_several_lines_keeps_them():
    """Of an answer only what could take hold of the terminal goes."""
    assert shown("a\n\tb\x1b]0;title\x07c\x9b") == "a\n\tb]0;titlec"


def test_the_home_folder_is_a_tilde():
    """A place below it alone, and only at the beginning."""
    assert homely("/home/ann/.codex/config.toml:3", "/home/ann") == "~/.codex/config.toml:3"
    assert homely("/home/anna/x", "/home/ann") == "/home/anna/x"
    assert homely("/x", "/") == "/x"
