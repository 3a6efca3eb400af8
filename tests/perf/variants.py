# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is measured: the bare application, the gate in front of it, and the peers in front of it.

"Empty programs" is the application with BPF programs at the gate's places that look at nothing: the
kernel's own part of what the gate costs.

The peers do less than the gate: they neither add fields with what is left to the answers, nor take
the secret out of the requests.
"""
import contextlib
import json
import os
import pathlib

from applications import ORIGIN_PORT, Application
from stage import ROOT, run

NGINX = "nginx -p @FOLDER@ -e error.log -c configuration"

BARE = Application("bare application", ORIGIN_PORT, NGINX, "nginx -v", "../perf/application.conf")
GATE = Application("Sluice", 8001, NGINX, "nginx -v", "../perf/application.conf")
EMPTY = Application("empty programs", 8006, NGINX, "nginx -v", "../perf/application.conf")
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
OWN = [BARE, GATE, EMPTY]
VARIANTS = [*OWN, *PEERS]

# Cgroups within the stage's that nothing but the application is in, as if clients and peers were elsewhere.
CGROUPS = {GATE: "gated", EMPTY: "empty"}


def make_cgroup(variant, stage):
    """Returns its path."""
    path = f"{stage.cgroup}/{CGROUPS[variant]}"
    os.mkdir(path)
    return path


def raise_gate(stage):
    """Put the gate on its cgroup."""
    outer, stage.cgroup = stage.cgroup, make_cgroup(GATE, stage)
    try:
        return stage.gate([GATE.port])
    finally:
        stage.cgroup = outer


def attach_empty(stage):
    """Attach the empty programs to the sockets of their cgroup, and to those that will be."""
    pin, cgroup = f"{stage.folder}/bpf/empty", make_cgroup(EMPTY, stage)
    run("bpftool", "prog", "loadall", f"{ROOT}/build/bpf/tests/perf/empty.o", pin)
    enrol = json.loads(run("bpftool", "-j", "prog", "show", "pinned", f"{pin}/empty_enrol"))
    # A map that is not pinned loses its programs with the last descriptor.
    socks = ("pinned", f"{pin}/empty_socks")
    run("bpftool", "map", "pin", "id", str(enrol["map_ids"][0]), socks[1])
    run("bpftool", "prog", "attach", "pinned", f"{pin}/empty_verdict", "sk_skb_verdict", *socks)
    run("bpftool", "prog", "attach", "pinned", f"{pin}/empty_message", "sk_msg_verdict", *socks)
    run("bpftool", "cgroup", "attach", cgroup, "cgroup_inet_ingress", "pinned", f"{pin}/empty_guard")
    run("bpftool", "cgroup", "attach", cgroup, "cgroup_sock_ops", "pinned", f"{pin}/empty_enrol")


def enter(cgroup):
    with open(f"{cgroup}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))


def start(variant, stage):
    """Start a variant; returns the instance that runs. That of the gate is the application behind it."""
    if variant is EMPTY:
        attach_empty(stage)
    if variant not in CGROUPS:
        return variant.start(stage)
    enter(f"{stage.cgroup}/{CGROUPS[variant]}")
    try:
        return variant.start(stage)
    finally:
        enter(stage.cgroup)


def threads(instance):
    """Those of the processes of an instance, as folders of /proc."""
    pids = [instance.process.child.pid]
    for pid in pids:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())
    return [path for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def processor_time(instance):
    """Seconds that an instance ran so far: finer than the clock ticks of its processes' times."""
    total = 0
    for thread in threads(instance):
        total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


@contextlib.contextmanager
def on_processor(instance, number):
    """Have an instance run on one processor alone."""
    before = {int(thread.name): os.sched_getaffinity(int(thread.name)) for thread in threads(instance)}
    for thread in before:
        os.sched_setaffinity(thread, {number})
    try:
        yield
    finally:
        for thread, processors in before.items():
            os.sched_setaffinity(thread, processors)
