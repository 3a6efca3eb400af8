#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each program takes under load, by the kernel's own count (sysctl kernel.bpf_stats_enabled).

    live.py [--seconds N]

A program that another calls is counted with that other. The counting itself costs some 20 ns a run.
"""
import argparse
import contextlib
import json
import os
import sys

sys.path.append(f"{os.path.dirname(os.path.realpath(__file__))}/../apps")

import load
import variants
from credentials import Credentials
from stage import Stage, on_stage, run

SWITCH = "/proc/sys/kernel/bpf_stats_enabled"
KEYS = 1000
WORKLOADS = (load.ADMITTED, load.LIMITED, load.UNKNOWN, load.HEAD, load.POST)
RARE = 0.01  # runs a request below which a program is left out


def switch(value):
    with open(SWITCH, "r+", encoding="ascii") as file:
        before = file.read()
        file.seek(0)
        file.write(value)
    return before


@contextlib.contextmanager
def counting():
    """For all of the machine: put back as it was."""
    before = switch("1")
    try:
        yield
    finally:
        switch(before)


def run_counts(gate):
    """Nanoseconds and runs so far, of each program of the gate: that of its own maps uses one of these."""
    own = {gate.map(name)["id"] for name in ("counters", "verdict_program", "message_program")}
    return {
        program["name"]: (program.get("run_time_ns", 0), program.get("run_cnt", 0))
        for program in json.loads(run("bpftool", "-j", "prog", "show"))
        if own & set(program.get("map_ids", ()))
    }


def act(arguments):
    folder, cgroup, *words = arguments
    parser = argparse.ArgumentParser(prog="live.py", description="Measure each program under load.")
    parser.add_argument("--seconds", type=int, default=2, help="of each workload; default 2")
    options = parser.parse_args(words)
    stage = Stage(folder, cgroup, ["--release"])
    gate = variants.raise_gate(stage)
    credentials = Credentials(gate, KEYS)
    instance = variants.start(variants.GATE, stage)
    print(f"| {'under load':<14} | {'program':<16} | runs a request | ns a run |")
    print("| --- | --- | ---: | ---: |")
    with counting():
        for workload in WORKLOADS:
            workload.write(stage, credentials)
            load.warm_up(workload, instance)
            before = run_counts(gate)
            trial = load.measure(workload, variants.GATE, instance, 1, options.seconds, None)
            for name, (ns, runs) in sorted(run_counts(gate).items()):
                ns, runs = ns - before[name][0], runs - before[name][1]
                if runs > RARE * trial.requests:
                    print(f"| {workload.name:<14} | {name:<16} | {runs / trial.requests:14.2f} | {ns / runs:8.0f} |")
    instance.stop()
    gate.stop()
    return 0


on_stage(act)
