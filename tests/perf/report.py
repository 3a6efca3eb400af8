# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What was measured, as medians with the least and the most of all rounds, and the targets beside it."""
import csv
import statistics
from dataclasses import dataclass
from typing import Callable

from load import ADMITTED, LARGE, LIMITED, PACED, POST, UNKNOWN, WORKLOADS
from variants import BARE, GATE, PEERS, VARIANTS

REFUSALS = (LIMITED, UNKNOWN)


class Results:
    """All trials of a run."""

    def __init__(self):
        self.trials = []

    def of(self, workload, variant):
        """The trials of one workload and variant, one for each round."""
        return [
            trial
            for trial in self.trials
            if (trial.workload, trial.variant) == (workload.name, variant.name)
        ]

    def figures(self, workload, variant, name):
        """One figure of each round; none where there is no such figure."""
        figures = [getattr(trial, name) for trial in self.of(workload, variant)]
        return [figure for figure in figures if figure is not None]

    def best_peer(self, workload, name, choose):
        """The peer whose median is the most or the least; None where no peer was measured."""
        peers = [peer for peer in PEERS if self.of(workload, peer)]
        if not peers:
            return None
        return choose(peers, key=lambda peer: statistics.median(self.figures(workload, peer, name)))

    def write(self, path):
        names = "round workload variant requests seconds requests_per_s p50_us p99_us"
        names += " cpu_us_per_request application_cpu_us_per_request"
        with open(path, "w", encoding="ascii", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(names.split())
            for trial in self.trials:
                row = [trial.round, trial.workload, trial.variant, trial.requests]
                row += [f"{trial.seconds:.3f}", f"{trial.rate:.1f}", trial.p50, trial.p99]
                cpu = (trial.cpu, trial.application_cpu)
                rows.writerow(row + ["" if us is None else f"{us:.3f}" for us in cpu])


def spread(figures, digits):
    """The median, with the least and the most."""
    if not figures:
        return "–"
    extremes = (statistics.median(figures), min(figures), max(figures))
    middle, low, high = (f"{figure:,.{digits}f}" for figure in extremes)
    return f"{middle} ({low}–{high})" if len(figures) > 1 else middle


def table(title, rows):
    """Print rows, the first of them the heading, in columns as Markdown has them."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(title))]
    widths = [max(width, len(name)) for width, name in zip(widths, title)]
    aligned = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in [title, *rows]]
    aligned.insert(1, ["-" * width for width in widths])
    for row in aligned:
        print(f"| {' | '.join(row)} |")
    print()


def measured_row(results, workload, variant):
    trials = results.of(workload, variant)
    row = [workload.name, variant.name]
    if not all(trial.kept_up for trial in trials):
        return [*row, spread(results.figures(workload, variant, "rate"), 0), "did not keep up", "", ""]
    for name, digits in (("rate", 0), ("p50", 0), ("p99", 0), ("cpu", 1)):
        row.append(spread(results.figures(workload, variant, name), digits))
    return row


def print_measured(results):
    rows = [
        measured_row(results, workload, variant)
        for workload in WORKLOADS
        for variant in VARIANTS
        if results.of(workload, variant)
    ]
    columns = ["workload", "variant", "requests/s", "p50, µs", "p99, µs", "machine's CPU µs/request"]
    table(columns, rows)


def ratios(results, name, workload, variant, base_workload, base):
    """One figure as a share of another one's in the same round."""
    pairs = zip(
        results.figures(workload, variant, name), results.figures(base_workload, base, name)
    )
    return [figure / against for figure, against in pairs]


def added(name, workload):
    """What the gate adds to the bare application's figure, in each round that both kept up in."""

    def measure(results):
        pairs = zip(results.of(workload, GATE), results.of(workload, BARE))
        pairs = [pair for pair in pairs if all(trial.kept_up for trial in pair)]
        return [getattr(gate, name) - getattr(bare, name) for gate, bare in pairs]

    return measure


def against_bare(workload):
    return lambda results: ratios(results, "rate", workload, GATE, workload, BARE)


def rate_against_peer(results):
    peer = results.best_peer(ADMITTED, "rate", max)
    return ratios(results, "rate", ADMITTED, GATE, ADMITTED, peer) if peer else []


def refusal_against_bare(workload):
    return lambda results: ratios(results, "cpu", workload, GATE, ADMITTED, BARE)


def refusal_against_peer(workload):
    def measure(results):
        peer = results.best_peer(workload, "cpu", min)
        return ratios(results, "cpu", workload, GATE, workload, peer) if peer else []

    return measure


def application_cpu(results):
    return [
        figure
        for workload in REFUSALS
        for figure in results.figures(workload, GATE, "application_cpu")
    ]


@dataclass
class Target:
    """measure: the figure of each round; their median is to be at least or at most the bound."""

    name: str
    measure: Callable
    bound: float
    at_least: bool
    digits: int = 3
    unit: str = ""

    def row(self, results):
        figures = self.measure(results)
        sign = "≥" if self.at_least else "≤"
        asked = f"{sign} {self.bound:g}{self.unit}"
        if not figures:
            return [self.name, asked, "–", "not measured"]
        return [self.name, asked, spread(figures, self.digits) + self.unit, self.verdict(figures)]

    def verdict(self, figures):
        figure = statistics.median(figures)
        short = self.bound - figure if self.at_least else figure - self.bound
        if short <= 0:
            return "hit"
        return f"missed by {short:.{self.digits}f}{self.unit}"


TARGETS = [
    Target("admitted, requests/s: of the bare application's", against_bare(ADMITTED), 0.90, True),
    Target(
        "admitted, machine's CPU added per request", added("cpu", ADMITTED), 1.2, False, unit=" µs"
    ),
    Target("admitted, requests/s: times the best peer's", rate_against_peer, 3, True),
    Target(
        "429, machine's CPU per request: of the bare application's 200",
        refusal_against_bare(LIMITED),
        0.75,
        False,
    ),
    Target(
        "401, machine's CPU per request: of the bare application's 200",
        refusal_against_bare(UNKNOWN),
        0.75,
        False,
    ),
    Target("429, machine's CPU per request: of the best peer's", refusal_against_peer(LIMITED), 0.8, False),
    Target("401, machine's CPU per request: of the best peer's", refusal_against_peer(UNKNOWN), 0.8, False),
    Target("refused, the application's CPU per request", application_cpu, 0, False, unit=" µs"),
    Target(
        "p99 at half the bare application's rate, added",
        added("p99", PACED),
        30,
        False,
        0,
        " µs",
    ),
    Target("1 MB download, requests/s: of the bare application's", against_bare(LARGE), 0.95, True),
    Target("64 KB POST, requests/s: of the bare application's", against_bare(POST), 0.95, True),
]


def print_targets(results):
    table(
        ["target", "asked", "median (min–max) of the rounds", ""],
        [target.row(results) for target in TARGETS],
    )
