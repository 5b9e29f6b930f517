"""Measuring: variants in interleaved rounds, and a table that sets each beside the alternative of the same run."""

from __future__ import annotations

import argparse
import importlib.metadata
import random
import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Name = TypeVar("Name")
HEAD = "| work | with | median | p10-p90 | beside it | goal |\n| --- | --- | --- | --- | --- | --- |"


class UnexpectedError(Exception):
    """What was to be measured does not do its work, so its time would mean nothing."""


@dataclass(frozen=True)
class Row:
    """A line of the table: what was done, with what, how long it took in each round, and what that comes to."""

    work: str
    variant: str
    figures: Sequence[float]
    unit: str
    beside: str = ""
    goal: str = ""

    def __str__(self) -> str:
        low, median, high = spread(self.figures)
        cells = (self.work, self.variant, f"{_short(median)} {self.unit}", f"{_short(low)}-{_short(high)}")
        return f"| {' | '.join([*cells, self.beside, self.goal])} |"


def interleaved(variants: Mapping[Name, Callable[[], float]], rounds: int) -> dict[Name, list[float]]:
    """What each variant took in each round; before the first, each runs once unmeasured.

    A round runs every variant once, in an order of its own: what disturbs the machine then disturbs all of them. So
    figures are compared round by round, and then the median is taken.
    """
    taken: dict[Name, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant()
    for _ in range(rounds):
        for name in random.sample(list(variants), len(variants)):
            taken[name].append(variants[name]())
    return taken


def spread(figures: Sequence[float]) -> tuple[float, float, float]:
    """The 10th percentile, the median, the 90th percentile."""
    if len(figures) < 2:
        return figures[0], figures[0], figures[0]
    deciles = statistics.quantiles(figures, n=10, method="inclusive")
    return deciles[0], deciles[4], deciles[8]


def ratio(figures: Sequence[float], alternative: Sequence[float]) -> float:
    """How many times as long as the alternative."""
    return statistics.median(one / other for one, other in zip(figures, alternative, strict=True))


def difference(figures: Sequence[float], alternative: Sequence[float]) -> float:
    """How much longer than the alternative."""
    return statistics.median(one - other for one, other in zip(figures, alternative, strict=True))


def goal(figure: float, limit: float, unit: str) -> str:
    """The goal, and whether the figure meets it."""
    return f"≤ {limit:g}{unit}: {'met' if figure <= limit else '**missed**'}"


def version(*distributions: str) -> str | None:
    """The version of the first of these; None, said on stderr, if one is not installed: its row is then left out."""
    try:
        first, *_ = [importlib.metadata.version(name) for name in distributions]
        return first
    except importlib.metadata.PackageNotFoundError as error:
        print(f"{error.name} is not installed and is left out; benchmarks/run has it", file=sys.stderr)
        return None


def expect(what: str, found: object, wanted: object) -> None:
    """Raise UnexpectedError unless what was found is what was wanted."""
    if found != wanted:
        raise UnexpectedError(f"{what}: {found!r} instead of {wanted!r}")


def main(measure: Callable[[int], Iterable[Row]], rounds: int) -> None:
    """Measure and print the table; `--rounds` changes how long that takes and how much it can be trusted."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often everything is measured")
    rows = list(measure(parser.parse_args().rounds))
    print(HEAD, *rows, sep="\n")


def _short(figure: float) -> str:
    """Three digits, or those before the point."""
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
