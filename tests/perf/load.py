# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The workloads, and one trial of one of them."""
import json
import os
import re
from dataclasses import dataclass

from credentials import SPENT_KEYS
from stage import ROOT, run
from variants import on_processor, processor_time
from wire import BROWSER, Connection, request

CONNECTIONS = 32
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
UPLOAD = 64 << 10
DOWNLOAD = 1 << 20
KEPT_UP = 0.95  # of the requests that were due; the last ones may just be late
UPLOAD_KEYS = 100  # so that all uploads are not more than some megabytes


@dataclass
class Workload:
    """Requests of one form; kind: of the credentials, keys: how many of them at most."""

    name: str
    status: int = 200
    kind: str = "good"
    target: str = "/"
    fields: tuple = ()
    body: bytes = None
    keys: int = None
    answer: int = 100  # bytes of an answer of the application
    paced: bool = False
    reconnects: bool = False

    def write(self, stage, credentials):
        """Write the requests, all of one size, one behind the other."""
        method = "POST" if self.body else "GET"
        keys = getattr(credentials, self.kind)[: self.keys]
        texts = [request(method, self.target, key, self.fields, self.body) for key in keys]
        self.first = texts[0]
        self.path = f"{stage.folder}/{self.name.replace(' ', '-')}"
        with open(self.path, "wb") as file:
            file.write(b"".join(texts))

    def arguments(self):
        return self.path, str(len(self.first))


ADMITTED = Workload("admitted")
LIMITED = Workload("refused 429", 429, "spent")
UNKNOWN = Workload("refused 401", 401, "unknown")
HEAD = Workload("3 KB head", fields=BROWSER)
POST = Workload("64 KB POST", target="/upload", body=b"x" * UPLOAD, keys=UPLOAD_KEYS)
LARGE = Workload("1 MB download", target="/large", answer=DOWNLOAD)
CONNECT = Workload("new connection", fields=("Connection: close",), reconnects=True)
PACED = Workload("half rate", paced=True)
WORKLOADS = [ADMITTED, LIMITED, UNKNOWN, HEAD, POST, LARGE, CONNECT, PACED]


@dataclass
class Trial:
    """What was measured; cpu: of the whole machine, application_cpu: of the instance's processes."""

    round: int
    workload: str
    variant: str
    requests: int
    seconds: float
    p50: float
    p99: float
    cpu: float = None
    application_cpu: float = None
    kept_up: bool = True

    @property
    def rate(self):
        return self.requests / self.seconds


def opened():
    """Connections that were taken in this network namespace so far."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("PassiveOpens")])


def busy_ticks():
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    return user + nice + system + irq + softirq


def probe(workload, port):
    """One request: status, JSON and Retry-After are as they must be. Spent keys are spent before."""
    with Connection(port) as client:
        if workload.kind == "spent":
            with open(workload.path, "rb") as file:
                while text := file.read(len(workload.first)):
                    client.send(text)
                    client.answer()
    with Connection(port) as client:
        client.send(workload.first)
        answer = client.answer()
    assert answer.status == workload.status, f"{answer.status}, not {workload.status}"
    if workload.status == 200:
        assert answer.length == workload.answer, f"{answer.length} bytes"
        return
    assert answer.value("content-type") == "application/json", answer.fields
    assert json.loads(answer.body)["code"], answer.body
    if workload.status == 429:
        assert int(answer.value("retry-after")) > 0, answer.fields


def figures(text):
    """The figures that wrk.lua and pace print."""
    return {name: float(figure) for name, figure in re.findall(r"^(.+)\t(\S+)$", text, re.M)}


def wrk(workload, port, seconds, *options):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "20"]
    command += ["-s", f"{ROOT}/tests/perf/wrk.lua"]
    url = f"http://127.0.0.1:{port}/"
    found = figures(run(*command, url, "--", *workload.arguments(), *options))
    broken = {name: found[name] for name in ("connect", "read", "write", "timeout") if found[name]}
    assert not broken, f"failed: {broken}"
    return found


def pace(workload, instance, seconds, rate):
    """The sender never sleeps: where the application shared its processor, this would be measured."""
    command = ["taskset", "-c", "1", f"{ROOT}/build/bench/pace", str(instance.port)]
    with on_processor(instance, 0):
        return figures(run(*command, *workload.arguments(), str(rate), str(seconds)))


def expect_statuses(workload, found):
    """All answers had the status that is due. A key's window may begin anew amid a trial."""
    wrong = found["refused"]
    if workload.status != 200:
        wrong = found["requests"] - found["refused"]
        wrong -= min(wrong, SPENT_KEYS if workload.kind == "spent" else 0)
    assert wrong == 0, f"{wrong:.0f} of {found['requests']:.0f} answers had another status"


def warm_up(workload, instance):
    """A second of load, with each answer's status looked at."""
    probe(workload, instance.port)
    found = wrk(workload, instance.port, 1, "--statuses")
    seen = {name for name in found if name.startswith("status ")}
    assert f"status {workload.status}" in seen and len(seen) <= 1 + (workload.kind == "spent"), found
    expect_statuses(workload, found)


def measure(workload, variant, instance, number, seconds, rate):
    """Run one trial; rate: requests per second, where they are paced."""
    probe(workload, instance.port)
    before, time_before = opened(), processor_time(instance)
    if workload.paced:
        found = pace(workload, instance, seconds, rate)
    else:
        found = wrk(workload, instance.port, seconds)
    connections, time = opened() - before, processor_time(instance) - time_before
    expect_statuses(workload, found)
    requests = int(found["requests"])
    if workload.reconnects:
        assert connections >= requests, f"{connections} connections for {requests} requests"
    else:
        assert connections <= 4 * CONNECTIONS, f"{connections} connections"
    trial = Trial(number, workload.name, variant.name, requests, seconds, found["p50"], found["p99"])
    if workload.paced:
        trial.kept_up = requests >= KEPT_UP * found["due"]
    else:
        trial.seconds = found["microseconds"] / 1e6
        trial.cpu = found["ticks"] * TICK_US / requests
        trial.application_cpu = time * 1e6 / requests
    return trial
