#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the gate costs, beside the bare application and peers that do the same job.

    bench.py [--quick] [--rounds N] [--seconds N] [--keys N]

--quick: without peers, in a minute. Everything of one run is
compared with what else was measured in the same round: variants take turns for each workload.
"""
import argparse
import os
import sys
import time
from functools import partial

sys.path.append(f"{os.path.dirname(os.path.realpath(__file__))}/../apps")

import chart
import load
import report
import variants
from credentials import SPENT_KEYS, Credentials
from stage import ROOT, Stage, on_stage

OUTPUT = f"{ROOT}/build/bench"
IDLE_SECONDS = 2
IDLE_SHARE = 0.1  # of one processor that others may use


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.py", description="Measure the gate and its peers.")
    parser.add_argument("--quick", action="store_true", help="without peers, in a minute")
    parser.add_argument("--rounds", type=int, help="rounds of all trials; default 7, with --quick 2")
    parser.add_argument("--seconds", type=int, help="of each trial; default 3, with --quick 1")
    parser.add_argument("--keys", type=int, help="keys that exist; default 10,000, with --quick 1,000")
    options = parser.parse_args(arguments)
    defaults = (2, 1, 1000) if options.quick else (7, 3, 10_000)
    for name, default in zip(("rounds", "seconds", "keys"), defaults):
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.keys <= SPENT_KEYS:
        parser.error(f"--keys: {SPENT_KEYS} of them are used up, and there must be others")
    return options


def print_conditions(measured):
    """Versions, and what the machine does by itself: all of that is in the figures."""
    versions = {variant.command[0]: variant.version() for variant in measured}
    programs = ", ".join(f"{program} {version}" for program, version in versions.items())
    before = load.busy_ticks()
    time.sleep(IDLE_SECONDS)
    share = (load.busy_ticks() - before) * load.TICK_US / 1e6 / IDLE_SECONDS
    print(f"Linux {os.uname().release}, {os.cpu_count()} processors; {programs}.")
    print(f"Load of the idle machine: {share:.1%} of one processor", end="")
    print(": too much for figures that mean anything." if share > IDLE_SHARE else ".")


def applicable(workload, variant):
    """Without the gate, the application refuses nothing."""
    return workload.status == 200 or variant not in (variants.BARE, variants.EMPTY)


class Bench:
    def __init__(self, stage, options):
        self.options = options
        self.results = report.Results()
        self.rate = None  # of paced requests: half of what the bare application answered in the same round
        self.variants = variants.OWN if options.quick else variants.VARIANTS
        stage.fill("large", load.DOWNLOAD)
        self.gate = variants.raise_gate(stage)
        credentials = Credentials(self.gate, options.keys)
        credentials.write(f"{stage.folder}/keys")
        for workload in load.WORKLOADS:
            workload.write(stage, credentials)
        self.instances = {variant: variants.start(variant, stage) for variant in self.variants}

    def each(self, do, turn=0):
        """Do something with each variant for each workload; whose turn is first changes."""
        for workload in load.WORKLOADS:
            for variant in self.variants[turn:] + self.variants[:turn]:
                if not applicable(workload, variant):
                    continue
                try:
                    do(workload, variant)
                except (AssertionError, OSError) as problem:
                    raise AssertionError(f"{variant.name}, {workload.name}: {problem}") from problem

    def warm_up(self, workload, variant):
        if not workload.paced:
            load.warm_up(workload, self.instances[variant])

    def measure(self, number, workload, variant):
        trial = load.measure(
            workload, variant, self.instances[variant], number, self.options.seconds, self.rate
        )
        self.results.trials.append(trial)
        if (workload, variant) == (load.ADMITTED, variants.BARE):
            self.rate = trial.rate / 2

    def run(self):
        if not self.options.quick:
            print("Warming up …", file=sys.stderr)
            self.each(self.warm_up)
        for number in range(1, self.options.rounds + 1):
            print(f"Round {number} of {self.options.rounds} …", file=sys.stderr)
            self.each(partial(self.measure, number), (number - 1) % len(self.variants))

    def stop(self):
        for instance in self.instances.values():
            instance.stop()
        self.gate.stop()


def act(arguments):
    """Inside the stage: measure, and write what was found."""
    folder, cgroup, *words = arguments
    options = parse(words)
    start = time.monotonic()
    try:
        bench = Bench(Stage(folder, cgroup, ["--release"]), options)
        print_conditions(bench.variants)
        bench.run()
        bench.stop()
    except AssertionError as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    report.print_measured(bench.results)
    report.print_targets(bench.results)
    bench.results.write(f"{OUTPUT}/bench.csv")
    chart.write(bench.results, f"{OUTPUT}/bench.svg")
    print(f"Took {time.monotonic() - start:.0f} s.", end=" ")
    print("All trials are in build/bench/bench.csv, the chart is build/bench/bench.svg.")
    return 0


on_stage(act)
