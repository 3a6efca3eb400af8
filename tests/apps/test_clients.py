#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every client in front of the gate, with nginx behind it.

    test_clients.py [--bare] [--release] [PATTERN...]

as test_applications.py. No client may see a failure, hang, or another status than is due.
"""
import hashlib
import http.client
import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from applications import APPLICATIONS, ORIGIN, Application
from scene import Checks
from stage import LARGE, ROOT, main, run

BODY = os.urandom(10_000_000)
HASH = hashlib.sha256(BODY).hexdigest()
PROXIES = [
    Application(
        "nginx as a proxy",
        7001,
        "nginx -p @FOLDER@ -e error.log -c configuration",
        template="proxy_nginx.conf",
        version="nginx -v",
    ),
    Application(
        "HAProxy as a proxy",
        7002,
        "haproxy -db -f configuration",
        template="proxy_haproxy.cfg",
        version="haproxy -v",
    ),
]
CHECKS = Checks()
promise = CHECKS.promise


def url(scene, target="/plain"):
    return f"http://127.0.0.1:{scene.instance.port}{target}"


def credentials(scene):
    """Good and refused ones in turn, with the status each gets."""
    rows = [(scene.good, 200), *scene.refusals()]
    return [(key, 200 if scene.gate.bare else status) for key, status in rows]


def expect_counts(scene, seen, turns):
    """Each credential in turn got its status."""
    expected = Counter(status for _, status in credentials(scene) for _ in range(turns))
    assert Counter(seen) == expected, f"{dict(seen)} where {dict(expected)} is due"


def bearer(key):
    return {"Authorization": f"Bearer {key}"} if key else {}


def body_file(scene):
    path = f"{scene.stage.folder}/body"
    with open(path, "wb") as file:
        file.write(BODY)
    return path


def curl(scene, key, *arguments, **more):
    """Run curl; returns what it said, with status and new connections of each request as lines."""
    fields = [word for name in bearer(key) for word in ("-H", f"{name}: {bearer(key)[name]}")]
    written = ["-w", "\n%{http_code} %{num_connects}\n"]
    return run("curl", "-sS", "-m", "60", *fields, *written, *arguments, **more).splitlines()


@promise("curl: 120 requests on one connection, good and refused")
def curl_reuse(scene):
    lines = []
    for i in range(120):
        key, _ = credentials(scene)[i % 4]
        fields = [f'header = "{name}: {value}"' for name, value in bearer(key).items()]
        lines += [f'url = "{url(scene)}"', *fields, 'write-out = "%{http_code} %{num_connects}\\n"']
        lines += ['output = "/dev/null"', "silent", "next"]
    said = run("curl", "-m", "60", "-K", "-", input="\n".join(lines[:-1])).splitlines()
    expect_counts(scene, Counter(int(line.split()[0]) for line in said), 30)
    assert sum(int(line.split()[1]) for line in said) == 1, "connections were not used again"


@promise("curl: 10 MB with --data-binary and its Expect: 100-continue, good and refused")
def curl_data(scene):
    body = f"@{body_file(scene)}"
    for key, status in credentials(scene):
        said = curl(scene, key, "--data-binary", body, url(scene, "/hash"))
        assert said[-1] == f"{status} 1", said
        assert said[0] == HASH or status != 200, said


@promise("curl: 10 MB with -T -, in chunks, good and refused")
def curl_chunked(scene):
    path = body_file(scene)
    for key, status in credentials(scene):
        with open(path, "rb") as file:
            said = curl(scene, key, "-X", "POST", "-T", "-", url(scene, "/hash"), stdin=file)
        assert said[-1] == f"{status} 1", said
        assert said[0] == HASH or status != 200, said


@promise("curl: --http1.0 and HEAD, good and refused")
def curl_old(scene):
    for key, status in credentials(scene):
        for option in ("--http1.0", "-I"):
            said = curl(scene, key, option, url(scene))
            assert said[-1] == f"{status} 1", said


def wrk(scene, keys, pipeline=1):
    """Run wrk for two seconds; returns how many answers had which status."""
    environment = dict(os.environ, KEYS=" ".join(key or "-" for key in keys), PIPELINE=str(pipeline))
    script = f"{ROOT}/tests/apps/client_wrk.lua"
    said = run("wrk", "-t2", "-c16", "-d2", "-s", script, url(scene, "/"), env=environment)
    assert re.search(r"^broken\t0\t0$", said, re.M), said
    seen = Counter()  # a line for each status and thread
    for status, count in re.findall(r"^status\t(\d+)\t(\d+)$", said, re.M):
        seen[int(status)] += int(count)
    return seen


def expect_load(scene, keys, pipeline=1):
    """What wrk saw as 200 is what the keys were charged for, save what was in flight at the end."""
    before = 0 if scene.gate.bare else scene.gate.admitted()
    seen = wrk(scene, keys, pipeline)
    assert sum(seen.values()) > 1000, seen
    if scene.gate.bare:
        assert set(seen) == {200}, seen
        return
    assert set(seen) <= {200, 401, 429}, seen
    in_flight = scene.gate.admitted() - before - seen[200]
    assert 0 <= in_flight <= 16 * pipeline, f"{in_flight} more counted than {seen}"


@promise("wrk: good until the limit, then 429, each counted")
def wrk_good(scene):
    expect_load(scene, [scene.gate.key()["key"]])


@promise("wrk: 401 alone, and 200, 401 and 429 in turn")
def wrk_mixed(scene):
    expect_load(scene, [None])
    expect_load(scene, [scene.gate.key()["key"], None, scene.gate.unknown, scene.spent])


@promise("wrk: four requests in a segment, 200, 401 and 429 in turn")
def wrk_pipelined(scene):
    expect_load(scene, [scene.gate.key()["key"], None, scene.gate.unknown, scene.spent], 4)


@promise("ab: 10,000 requests at each of 200, 401 and 429, a connection each")
def ab_plain(scene):
    scene.ab(10_000)


@promise("ab -k: 10,000 requests at each of 200, 401 and 429, on kept connections")
def ab_keep_alive(scene):
    scene.ab(10_000, "-k")


@promise("h2load --h1: 10,000 requests at each of 200, 401 and 429")
def h2load(scene):
    for key, status in scene.fresh_credentials():
        fields = [word for name in bearer(key) for word in ("-H", f"{name}: {bearer(key)[name]}")]
        said = run("h2load", "--h1", "-n", "10000", "-c", "16", *fields, url(scene))
        counts = re.search(r"status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx", said)
        due = ("10000", "0", "0") if status == 200 else ("0", "10000", "0")
        assert counts and counts.groups() == due, said
        assert " 0 errored, 0 timeout" in said, said


@promise("Node fetch: 600 requests on a pool, good and refused, uploads sized and streamed, 100 MB down")
def fetch(scene):
    keys = [key or "-" for key, _ in credentials(scene)]
    program = f"{ROOT}/tests/apps/client_fetch.js"
    said = json.loads(run("node", program, url(scene, ""), *keys))
    expect_counts(scene, {int(status): count for status, count in said["seen"].items()}, 150)
    assert said["large"] == LARGE


@promise("Python http.client: 60 rounds, good and refused, bodies sized and in chunks")
def python(scene):
    seen = Counter()
    client = http.client.HTTPConnection("127.0.0.1", scene.instance.port, timeout=20)
    pieces = [BODY[:1000], BODY[1000:3000]]
    for i in range(60):
        for key, _ in credentials(scene):
            body = [None, BODY[:3000], iter(pieces)][i % 3]
            client.request("POST" if body else "GET", "/hash", body, bearer(key))
            answer = client.getresponse()
            answer.read()
            seen[answer.status] += 1
    client.close()
    expect_counts(scene, seen, 60)


def through_proxy(scene, port, turns):
    """One of many clients of a proxy: all credentials in turn, GET, POST and chunked."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    seen = Counter()
    for i in range(turns):
        for key, status in credentials(scene):
            body = [None, BODY[:20_000], iter([BODY[:9000], BODY[9000:20_000]])][i % 3]
            client.request("POST" if body else "GET", "/hash", body, bearer(key))
            answer = client.getresponse()
            text = answer.read().decode()
            assert answer.status == status, f"{answer.status} {text}"
            assert status != 200 or not body or text == hashlib.sha256(BODY[:20_000]).hexdigest()
            seen[answer.status] += 1
    client.close()
    return seen


def proxied(scene, proxy):
    clients, turns = 24, 30
    instance = proxy.start(scene.stage)
    before = None if scene.gate.bare else scene.gate.counters()["connectionsOpened"]
    with ThreadPoolExecutor(clients) as pool:
        done = [pool.submit(through_proxy, scene, instance.port, turns) for _ in range(clients)]
    instance.stop()
    expect_counts(scene, sum((client.result() for client in done), Counter()), clients * turns)
    if not scene.gate.bare:
        opened = scene.gate.counters()["connectionsOpened"] - before
        assert opened < clients * turns, f"{opened} connections: the pool was of no use"


@promise("nginx as a proxy with a pool: 24 clients, good and refused, none sees a 5xx")
def nginx_proxy(scene):
    proxied(scene, PROXIES[0])


@promise("HAProxy as a proxy with http-reuse always: 24 clients, good and refused, none sees a 5xx")
def haproxy_proxy(scene):
    proxied(scene, PROXIES[1])


def tests(stage, results):
    """Run the table on nginx."""
    stage.fill("large", LARGE)
    gate = stage.gate([APPLICATIONS[0].port])
    origin = ORIGIN.start(stage)
    CHECKS.run(stage, gate, APPLICATIONS[0], results)
    origin.stop()
    results.report("the daemon ends well", gate.stop)


main(tests)
