#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a million keys cost: the daemon's start, memory, and a key that is made or revoked among them.

    keys.py [--keys N]

The state is in memory, so that what a disk takes for fsync() is not in the figures.
"""
import argparse
import http.client
import os
import random
import sqlite3
import string
import sys
import threading
import time

sys.path.append(f"{os.path.dirname(os.path.realpath(__file__))}/../apps")

from stage import Control, Daemon, Stage, on_stage, run
from variants import GATE

CHANGES = 1000
START_PATIENCE = 120  # seconds
ALPHABET = string.ascii_lowercase + string.digits
TARGETS = (
    ("daemon's start with all keys, none in the kernel yet", "s", 5),
    ("daemon's start with all keys, all in the kernel", "s", 5),
    ("kernel's memory a key", "bytes", 256),
    ("daemon's memory a key", "bytes", 64),
    ("a key made among them, p99", "ms", 5),
    ("a key revoked among them, p99", "ms", 5),
)


class Keeper(Daemon):
    """A daemon with room for so many keys."""

    def __init__(self, stage, keys):
        config = f"{stage.folder}/sluice.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[sluice]\nmax_keys = {keys}\n")
        super().__init__(stage, [GATE.port], ["--config", config])

    def timed_start(self):
        """Returns the seconds until all keys are in force."""
        before = time.monotonic()
        self.start(START_PATIENCE)
        return time.monotonic() - before

    def memory(self):
        """Bytes that are the daemon's alone."""
        with open(f"/proc/{self.process.child.pid}/smaps_rollup", encoding="ascii") as file:
            rows = [line.split() for line in file]
        return sum(int(row[1]) for row in rows if row[0].startswith("Private_")) * 1024

    def table_memory(self):
        """Bytes of the kernel's tables of keys, whose places are as many."""
        return sum(self.map(name)["bytes_memlock"] for name in ("keys", "usage"))


def fill(stage, count):
    """Put keys into the store that nobody has the text of."""
    store = sqlite3.connect(f"{stage.folder}/state/sluice.db")
    names = [row[1] for row in store.execute("PRAGMA table_info(keys)") if row[1] != "number"]
    like = dict(zip(names, store.execute(f"SELECT {', '.join(names)} FROM keys").fetchone()))

    def rows():
        for i in range(count):
            own = {
                "id": "key_" + "".join(random.choices(ALPHABET, k=len(like["id"]) - 4)),
                "account": f"account-{i // 10}",
                "label": f"label-{i}",
                "digest": os.urandom(16),
            }
            yield tuple((like | own).values())

    with store:
        places = ", ".join("?" * len(names))
        store.executemany(f"INSERT OR IGNORE INTO keys ({', '.join(names)}) VALUES ({places})", rows())
    store.close()


def p99(times):
    return sorted(times)[len(times) * 99 // 100 - 1] * 1000


def change(daemon):
    """Make keys and revoke them. Returns the p99 of each, in milliseconds."""
    control = Control(daemon.socket)
    made, revoked, ids = [], [], []
    for i in range(CHANGES):
        before = time.perf_counter()
        record = control.call("POST", "/v1/keys", {"account": f"new-{i}", "label": "new"})
        made.append(time.perf_counter() - before)
        ids.append(record["id"])
    for name in ids:
        before = time.perf_counter()
        control.call("DELETE", f"/v1/keys/{name}")
        revoked.append(time.perf_counter() - before)
    control.close()
    return p99(made), p99(revoked)


class Client(threading.Thread):
    """Asks all the time, by turns with a key and with one that is not known."""

    def __init__(self, key):
        super().__init__()
        self.keys = {key: 200, key[:-1] + ("b" if key[-1] == "a" else "a"): 401}
        self.over = False
        self.asked = 0
        self.wrong = []

    def ask(self, key):
        connection = http.client.HTTPConnection("127.0.0.1", GATE.port, timeout=10)
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
        except OSError as problem:
            return problem
        finally:
            connection.close()

    def run(self):
        while not self.over:
            for key, due in self.keys.items():
                status = self.ask(key)
                self.asked += 1
                if status != due:
                    self.wrong.append(status)
            time.sleep(0.02)

    def end(self):
        self.over = True
        self.join()
        assert not self.wrong, f"of {self.asked} requests {len(self.wrong)} went wrong: {self.wrong[:3]}"


def measure(stage, count):
    """Returns the figures, in the order of the targets."""
    application = GATE.start(stage)
    daemon = Keeper(stage, count)
    daemon.start()
    key = daemon.call("POST", "/v1/keys", {"account": "asked", "label": "asked", "perMinute": 10000})["key"]
    few = daemon.memory()
    daemon.stop()
    run(daemon.program, "--remove", *daemon.places)
    fill(stage, count - CHANGES - 1)

    cold = daemon.timed_start()
    assert Client(key).ask(key) == 200
    kernel = daemon.table_memory() / count
    client = Client(key)
    client.start()
    daemon.stop()
    warm = daemon.timed_start()
    client.end()
    memory = (daemon.memory() - few) / count
    made, revoked = change(daemon)
    daemon.stop()
    application.stop()
    return cold, warm, kernel, memory, made, revoked


def act(arguments):
    folder, cgroup, *words = arguments
    parser = argparse.ArgumentParser(prog="keys.py", description="Measure what many keys cost.")
    parser.add_argument("--keys", type=int, default=1_000_000, help="default 1,000,000")
    options = parser.parse_args(words)
    try:
        figures = measure(Stage(folder, cgroup, ["--release"]), options.keys)
    except AssertionError as problem:
        print(f"keys: {problem}", file=sys.stderr)
        return 1
    print(f"| with {options.keys:,} keys | asked | measured | |\n| --- | --- | --- | --- |")
    for (name, unit, most), figure in zip(TARGETS, figures):
        print(f"| {name} | ≤ {most} {unit} | {figure:.3g} {unit} | {'hit' if figure <= most else 'missed'} |")
    return 0


on_stage(act)
