# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is measured: the bare application, the gate in front of it, and the peers in front of it.

The peers do less than the gate: they neither add fields with what is left to the answers, nor take
the secret out of the requests.
"""
import os
import pathlib

from applications import ORIGIN_PORT, Application

NGINX = "nginx -p @FOLDER@ -e error.log -c configuration"
GATED = "gated"  # the cgroup within the stage's that the gate is on

BARE = Application("bare application", ORIGIN_PORT, NGINX, "nginx -v", "../perf/application.conf")
GATE = Application("Sluice", 8001, NGINX, "nginx -v", "../perf/application.conf")
PEERS = [
    Application(
        "HAProxy", 8002, "haproxy -db -f configuration", "haproxy -v", "../perf/haproxy.cfg"
    ),
    Application("nginx limit_req", 8003, NGINX, "nginx -v", "../perf/nginx.conf"),
    Application("nginx Lua", 8004, NGINX, "nginx -v", "../perf/nginx_lua.conf"),
    Application(
        "Node",
        8005,
        "node @ROOT@/tests/perf/proxy.js @PORT@ @ORIGIN@ @STAGE@/keys/limits",
        "node -v",
    ),
]
VARIANTS = [BARE, GATE, *PEERS]


def raise_gate(stage):
    """Put the gate on a cgroup that only the application is in, as if clients and peers were elsewhere."""
    stage.cgroup += f"/{GATED}"
    os.mkdir(stage.cgroup)
    return stage.gate([GATE.port])


def enter(cgroup):
    with open(f"{cgroup}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))


def start(variant, stage):
    """Start a variant; returns the instance that runs. That of the gate is the application behind it."""
    if variant is not GATE:
        return variant.start(stage)
    enter(stage.cgroup)
    try:
        return variant.start(stage)
    finally:
        enter(os.path.dirname(stage.cgroup))


def processor_time(instance):
    """Seconds that the processes of an instance ran so far: finer than the clock ticks of their times."""
    pids = [instance.process.child.pid]
    for pid in pids:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())
    total = 0
    for thread in (path for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").iterdir()):
        total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9
