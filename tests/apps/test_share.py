#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What share of requests takes the slow path, and what that costs, with nginx behind the gate.

    test_share.py [PATTERN...]

Always with the daemon as it is shipped, without sanitizers.
"""
import ctypes
import fcntl
import os
import socket
import statistics
import struct
import time

from applications import APPLICATIONS, BARE, ORIGIN
from scene import Checks
from stage import ROOT, main, run
from wire import BROWSER, Connection, request

ROUNDS = 2000  # requests for each figure about cost
CHECKS = Checks()
promise = CHECKS.promise


def url(scene, target="/plain"):
    return f"http://127.0.0.1:{scene.instance.port}{target}"


def share(scene, client, requests):
    """Run requests(key); returns the share of those admitted that took the slow path."""
    before = scene.gate.counters()
    requests(scene.gate.key()["key"])
    after = scene.gate.counters()
    admitted, slow = (after[name] - before[name] for name in ("admitted", "admittedSlow"))
    assert admitted > 100, f"only {admitted} admitted"
    print(f"# figure: slow path, {client}: {slow} of {admitted} requests, {slow / admitted:.2%}")
    return slow / admitted


@promise("wrk takes the fast path")
def wrk(scene):
    field = "Authorization: Bearer"
    command = ["wrk", "-t2", "-c32", "-d2", "-H"]
    assert share(scene, "wrk", lambda key: run(*command, f"{field} {key}", url(scene))) < 0.01


@promise("curl takes the fast path, bodies too")
def curl(scene):
    def requests(key):
        common = ["curl", "-sS", "-o", "/dev/null", "-H", f"Authorization: Bearer {key}"]
        run(*common, *[url(scene)] * 100, *["-o", "/dev/null"] * 99)
        for size in ("10", "10000"):
            body = ["--data-binary", "x" * int(size)]
            run(*common, *body, *[url(scene, "/hash")] * 20, *["-o", "/dev/null"] * 19)

    assert share(scene, "curl", requests) < 0.01


@promise("Node fetch takes the fast path, uploads too")
def fetch(scene):
    program = f"{ROOT}/tests/apps/client_fetch.js"
    assert share(scene, "Node fetch", lambda key: run("node", program, url(scene, ""), key)) < 0.01


def browse(scene, key):
    """Six connections, as browsers open them, 50 requests each."""
    for _ in range(6):
        with scene.connect() as client:
            for _ in range(50):
                assert client.ask("GET", "/plain", key, fields=BROWSER).status == 200


@promise("a browser with 3 KB of cookies takes the fast path")
def browser(scene):
    assert share(scene, "browser, 3 KB of cookies", lambda key: browse(scene, key)) < 0.01


def loopback(mtu, offload):
    """Have segments arrive as large as they are sent, or each frame for itself."""
    run("ip", "link", "set", "lo", "mtu", str(mtu))
    # SIOCETHTOOL with ETHTOOL_STSO of <linux/ethtool.h>: no program for it need be installed.
    value = ctypes.create_string_buffer(struct.pack("II", 0x1F, offload))
    frame = struct.pack("16sQ", b"lo", ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8946, frame)


@promise("a browser with 3 KB of cookies is served where every 1500-byte frame comes for itself")
def browser_small_frames(scene):
    loopback(1500, 0)
    try:
        share(scene, "browser, 1500-byte frames unmerged", lambda key: browse(scene, key))
    finally:
        loopback(65536, 1)


def relay_ticks(scene):
    """Processor time of the relay so far, in seconds."""
    with open(f"{scene.stage.cgroup}/cgroup.procs", encoding="ascii") as file:
        for pid in file.read().split():
            with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
            if name.startswith("sluiced-relay"):
                return sum(map(int, rest.split()[11:13])) / os.sysconf("SC_CLK_TCK")
    raise AssertionError("there is no relay")


def median_us(port, key, pieces):
    """Microseconds from the first byte sent to the last received, for a head in so many pieces."""
    data = request("GET", "/plain", key)
    size = -(-len(data) // pieces)
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    times = []
    with Connection(port) as client:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            client.send(*cut)
            assert client.answer().status == 200
            times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


@promise("a request on the slow path costs a bounded time more than one on the fast path")
def cost(scene):
    bare = APPLICATIONS[0].start(scene.stage, scene.instance.port + BARE)
    added = {}
    for pieces in (1, 2):
        ticks = relay_ticks(scene)
        gated_us = median_us(scene.instance.port, scene.gate.key()["key"], pieces)
        ticks = (relay_ticks(scene) - ticks) / ROUNDS * 1e6
        bare_us = median_us(bare.port, "none", pieces)
        added[pieces] = gated_us - bare_us
        print(
            f"# figure: a head in {pieces} segment{'s' * (pieces > 1)}: {bare_us:.0f} us bare,"
            f" {gated_us:.0f} gated, {ticks:.0f} of them the relay's processor time"
        )
    bare.stop()
    print(f"# figure: the slow path adds {added[2] - added[1]:.0f} us to the fast path's {added[1]:.0f}")
    assert added[2] < 1000, added


def tests(stage, results):
    """Run the table on nginx."""
    stage.build = ""
    stage.fill("large", 100 << 20)
    gate = stage.gate([APPLICATIONS[0].port])
    origin = ORIGIN.start(stage)
    CHECKS.run(stage, gate, APPLICATIONS[0], results)
    origin.stop()
    results.report("the daemon ends well", gate.stop)


main(tests)
