#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""100 MB up and 1 GB down through the gate, byte for byte, and the time beside the bare application's.

    test_large.py [--release] [PATTERN...]

The same program serves on an ungated port, too. curl sends and receives; the runs take turns. The
time told is the best of each, of curl's own clock; no test hangs on it.
"""
import hashlib
import os

from applications import APPLICATIONS, BARE, ORIGIN
from stage import HUGE, LARGE, main, run

RUNS = 3


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Pair:
    """An application with and without a gate in front."""

    def __init__(self, stage, gate, application):
        self.stage = stage
        self.gate = gate
        self.gated = application.start(stage)
        self.bare = application.start(stage, application.port + BARE)

    def curl(self, instance, target, *arguments):
        """Returns the seconds that it took."""
        field = f"Authorization: Bearer {self.gate.good}"
        output = f"{self.stage.folder}/came"
        url = f"http://127.0.0.1:{instance.port}{target}"
        written = "%{http_code} %{time_total}"
        command = ["curl", "-sS", "-m", "120", "-o", output, "-w", written, "-H", field, *arguments]
        status, seconds = run(*command, url).split()
        assert status in ("200", "201", "204"), status
        return float(seconds)

    def compare(self, name, size, transfer):
        """transfer(instance) moves that many bytes, checks them, and returns the seconds."""
        best = {}
        for _ in range(RUNS):
            for instance in (self.bare, self.gated):
                best[instance] = min(transfer(instance), best.get(instance, 1e9))
        rates = [size / best[instance] / 1e6 for instance in (self.bare, self.gated)]
        ratio = rates[1] / rates[0]
        print(f"# figure: {name}: {rates[0]:.0f} MB/s bare, {rates[1]:.0f} gated: {ratio:.2f}")

    def up(self, target, *framing):
        """Send the large file to where it is hashed, or to where it is stored."""
        large = f"{self.stage.content}/large"

        def transfer(instance):
            seconds = self.curl(instance, target, "-T", large, *framing)
            if target == "/hash":
                with open(f"{self.stage.folder}/came", encoding="ascii") as file:
                    assert file.read() == self.stage.digests["large"]
            else:
                assert digest(instance.folder + target) == self.stage.digests["large"]
                os.unlink(instance.folder + target)
            return seconds

        return transfer

    def down(self, instance):
        seconds = self.curl(instance, "/huge")
        assert digest(f"{self.stage.folder}/came") == self.stage.digests["huge"]
        return seconds

    def stop(self):
        self.gated.stop()
        self.bare.stop()


CHUNKED = ["-H", "Transfer-Encoding: chunked"]


def run_application(stage, gate, application, upload, results):
    pair = Pair(stage, gate, application)
    for name, size, transfer in (
        ("100 MB up with Content-Length", LARGE, pair.up(upload)),
        ("100 MB up in chunks", LARGE, pair.up(upload, *CHUNKED)),
        ("1 GB down", HUGE, pair.down),
    ):
        name = f"{application.name}: {name}"
        if stage.wants(name):
            results.report(name, lambda row=(name, size, transfer): pair.compare(*row))
    pair.stop()


def tests(stage, results):
    """nginx stores what comes, Node hashes it."""
    stage.fill("large", LARGE)
    stage.fill("huge", HUGE)
    stage.digests = {name: digest(f"{stage.content}/{name}") for name in ("large", "huge")}
    by_name = {application.name: application for application in APPLICATIONS}
    rows = [(by_name["nginx"], "/upload/large"), (by_name["Node http"], "/hash")]
    gate = stage.gate([application.port for application, _ in rows])
    origin = ORIGIN.start(stage)
    for application, upload in rows:
        run_application(stage, gate, application, upload, results)
    origin.stop()
    results.report("the daemon ends well", gate.stop)


main(tests)
