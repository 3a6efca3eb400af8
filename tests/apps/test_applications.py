#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every application behind the gate, with every kind of request.

    test_applications.py [--bare] [--release] [PATTERN...]

--bare runs the same without a gate, which tells an application's faults from the gate's; --release
takes the daemon without sanitizers; a pattern is part of the names of the tests to run.
"""
import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

from applications import APPLICATIONS, ORIGIN
from scene import Checks
from stage import LARGE, main
from wire import chunk, head, request

DAY_MS = 24 * 3600 * 1000
BODIES = [b"", b"1", os.urandom(100_000), os.urandom(10_000_000)]
REFUSED_BODY = os.urandom(100_000)
CHUNK = 10_000
CHECKS = Checks()
promise = CHECKS.promise


@promise("100 GETs on a connection, with the countdown in each answer")
def keep_alive(scene):
    key = scene.gate.key(per_day=150)
    with scene.connect() as client:
        for i in range(100):
            answer = client.ask("GET", "/plain", key["key"])
            assert answer.status == 200 and answer.length == 100
            if scene.gate.bare:
                continue
            assert int(answer.value("x-ratelimit-remaining")) == 149 - i
            reset = int(answer.value("x-ratelimit-reset"))
            assert reset % DAY_MS == 0 and 0 < reset - time.time() * 1000 <= DAY_MS
    assert scene.gate.bare or scene.gate.used(key) == 100


@promise("HEAD and 404, good and refused")
def head_and_missing(scene):
    with scene.connect() as client:
        for key, status in [(scene.good, 200), *scene.refusals()]:
            scene.ask(client, status, "HEAD", "/plain", key)
            scene.plain(client)
        scene.ask(client, 404, "GET", "/missing", scene.good)
        scene.plain(client)


@promise("POST of 0, 1, 100,000 and 10,000,000 bytes with Content-Length")
def sized_bodies(scene):
    with scene.connect() as client:
        for body in BODIES:
            scene.post(client, body)
            scene.plain(client)


@promise("POST of 0, 1, 100,000 and 10,000,000 bytes in chunks")
def chunked_bodies(scene):
    with scene.connect() as client:
        for body in BODIES:
            scene.post(client, body, chunked=CHUNK)
            scene.plain(client)


@promise("a refused body is eaten, and the connection goes on")
def refused_bodies(scene):
    with scene.connect() as client:
        for key, status in scene.refusals():
            for size in (0, CHUNK):
                more = {"body": REFUSED_BODY, "chunked": size}
                scene.ask(client, status, "POST", "/hash", key, **more)
                scene.plain(client)


@promise("401 and 429 in between on a connection")
def refused_between(scene):
    with scene.connect() as client:
        for _ in range(20):
            for key, status in scene.refusals():
                scene.ask(client, status, "GET", "/plain", key)
                scene.plain(client)


@promise("a download of 100 MB")
def download(scene):
    with open(f"{scene.stage.content}/large", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    with scene.connect() as client:
        answer = scene.ask(client, 200, "GET", "/large", scene.good)
        assert answer.length == LARGE and answer.digest.digest() == digest
        scene.plain(client)


def expect_stream(scene, answer):
    scene.expect(answer, 200, scene.good)
    assert answer.body == b"".join(b"piece %d\n" % i for i in range(5)), answer.body
    # The last piece is written 400 ms behind the first.
    times = [round(at - answer.arrivals[0], 3) for at in answer.arrivals]
    assert times[-1] > 0.3, f"the pieces came at {times}"


@promise("a streaming answer: each piece as it is written")
def streaming(scene):
    with scene.connect() as client:
        expect_stream(scene, client.ask("GET", "/stream", scene.good))
        scene.plain(client)


@promise("a streaming answer to HTTP/1.0, until the connection ends")
def streaming_until_close(scene):
    with scene.connect() as client:
        expect_stream(scene, client.ask("GET", "/stream", scene.good, version="1.0"))
        client.expect_end()


@promise("pipelined requests are answered in order, refused ones among them")
def pipelined(scene):
    sent = []
    for i in range(10):
        key, status = scene.refusals()[i % 3]
        body, more = b"body %d" % i, {"chunked": i % 2 * 4}
        sent.append(("GET", "/plain", scene.good, 200, {}))
        sent.append(("POST", "/hash", key, status, {"body": body, **more}))
        sent.append(("POST", "/hash", scene.good, 200, {"body": body, **more}))
    with scene.connect() as client:
        client.send(b"".join(request(*row[:3], **row[4]) for row in sent))
        for method, target, key, status, more in sent:
            answer = client.answer(method)
            scene.expect(answer, status, key)
            if status == 200 and method == "POST":
                assert answer.body.decode() == hashlib.sha256(more["body"]).hexdigest()
        scene.plain(client)


@promise("large bodies behind a pipelined request, good and refused")
def pipelined_bodies(scene):
    for size in (1000, 10_000, 20_000, 60_000, 300_000):
        for key, status in [(scene.good, 200), *scene.refusals()]:
            with scene.connect() as client:
                body = BODIES[-1][:size]
                post = request("POST", "/hash", key, body=body)
                client.send(request("GET", "/plain", scene.good) + post)
                scene.expect(client.answer(), 200, scene.good)
                answer = client.answer()
                scene.expect(answer, status, key)
                if status == 200:
                    assert answer.body.decode() == hashlib.sha256(body).hexdigest()
                scene.plain(client)


def crowd_client(scene, seed):
    """Send pipelines of random requests in random pieces, and expect each its answer."""
    choose = random.Random(seed)
    for _ in range(3):
        with scene.connect() as client:
            for _ in range(8):
                sent = []
                for _ in range(choose.randint(1, 4)):
                    key, status = choose.choice([(scene.good, 200)] * 3 + scene.refusals())
                    size = choose.choice([None, 0, 10, 3000, 20_000, 40_000])
                    body = BODIES[-1][:size] if size is not None else None
                    row = ("POST", "/hash", key) if body is not None else ("GET", "/plain", key)
                    chunked = choose.choice([0, 0, 1000, 30_000])
                    sent.append((request(*row, body=body, chunked=chunked), row, status, body))
                data = b"".join(row[0] for row in sent)
                cuts = sorted(choose.sample(range(1, len(data)), choose.randint(0, 4)))
                for start, end in zip([0, *cuts], [*cuts, len(data)]):
                    client.send(data[start:end])
                    time.sleep(choose.choice([0, 0, 0.001]))
                for _, (method, _, key), status, body in sent:
                    answer = client.answer(method)
                    scene.expect(answer, status, key)
                    if status == 200 and body is not None:
                        assert answer.body.decode() == hashlib.sha256(body).hexdigest()


@promise("sixteen clients at once, requests cut and joined at random, good and refused")
def crowd(scene):
    with ThreadPoolExecutor(16) as pool:
        for client in [pool.submit(crowd_client, scene, seed) for seed in range(16)]:
            client.result()


@promise("a request in segments of a byte, and cut in two anywhere")
def segments(scene):
    with scene.connect() as client:
        for key, status in [(scene.good, 200), *scene.refusals()]:
            data = request("POST", "/hash", key, body=b"0123456789", chunked=4)
            cuts = [range(1, len(data)), *([at] for at in range(5, len(data), 17))]
            for cut in cuts:
                for start, end in zip([0, *cut], [*cut, len(data)]):
                    client.send(data[start:end])
                    time.sleep(0.001)
                scene.expect(client.answer(), status, key)
            scene.plain(client)


@promise("Expect: 100-continue")
def expect_continue(scene):
    body = BODIES[2]
    for framing in (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"):
        data = body if framing.startswith("C") else chunk(body) + chunk(b"")
        for key, status in [(scene.good, 200), *scene.refusals()]:
            with scene.connect() as client:
                client.send(head("POST", "/hash", key, ["Expect: 100-continue", framing]))
                if status == 200 or scene.gate.bare:
                    interim = client.answer()
                    assert interim.status == 100, f"{interim.status} {interim.body[:300]}"
                    assert not interim.values("x-ratelimit-remaining")
                    client.send(data)
                    scene.expect(client.answer(), status, key)
                else:
                    scene.expect(client.answer(), status, key)
                    client.send(data)
                scene.plain(client)


@promise("ab with and without -k: 1,000 requests at each of 200, 401 and 429")
def ab(scene):
    scene.ab(1000)
    scene.ab(1000, "-k")


@promise("Connection: close gets the whole answer and a clean end")
def closed(scene):
    close = ["Connection: close"]
    for key, status in [(scene.good, 200), *scene.refusals()]:
        for method, target, more in (
            ("GET", "/plain", {"fields": close}),
            ("GET", "/plain", {"version": "1.0"}),
            ("POST", "/hash", {"fields": close, "body": REFUSED_BODY}),
            ("POST", "/hash", {"fields": close, "body": REFUSED_BODY, "chunked": CHUNK}),
        ):
            with scene.connect() as client:
                scene.ask(client, status, method, target, key, **more)
                client.expect_end()
    with scene.connect() as client:
        answer = scene.ask(client, 200, "GET", "/large", scene.good, fields=close)
        assert answer.length == LARGE
        client.expect_end()


def tests(stage, results):
    """Run the table on every application."""
    stage.fill("large", LARGE)
    gate = stage.gate([application.port for application in APPLICATIONS])
    origin = ORIGIN.start(stage)
    for application in APPLICATIONS:
        CHECKS.run(stage, gate, application, results)
    origin.stop()
    results.report("the daemon ends well", gate.stop)


main(tests)
