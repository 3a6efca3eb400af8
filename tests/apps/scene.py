# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An application behind the gate, and tables of checks of the two."""
import hashlib
import re
import time

from stage import PATIENCE, run
from wire import Connection


class Scene:
    """An application that runs, and the gate in front of it."""

    def __init__(self, stage, gate, application):
        self.stage = stage
        self.gate = gate
        # Requests counted that it need not have executed: those of other applications.
        self.known = 0 if gate.bare else gate.admitted()
        self.instance = application.start(stage)
        self.good = gate.good
        # Used up until midnight.
        self.spent = gate.key(per_day=1)["key"]
        with self.connect() as client:
            client.ask("GET", "/plain", self.spent)

    def connect(self):
        return Connection(self.instance.port)

    def refusals(self):
        """Credentials that are refused, and with what."""
        return [(None, 401), (self.gate.unknown, 401), (self.spent, 429)]

    def expect(self, answer, status, key):
        """An answer has this status, and the fields of the gate that go with it."""
        if self.gate.bare:
            status = 200 if status in (401, 429) else status
        assert answer.status == status, f"{answer.status} {answer.body[:300]}"
        if self.gate.bare:
            return
        limited = key in (self.good, self.spent)
        for name in ("x-ratelimit-remaining", "x-ratelimit-reset"):
            assert len(answer.values(name)) == limited, f"{name}: {answer.fields}"
        assert len(answer.values("retry-after")) == (status == 429), answer.fields

    def ask(self, client, status, method, target, key, **more):
        answer = client.ask(method, target, key, **more)
        self.expect(answer, status, key)
        return answer

    def plain(self, client):
        """The connection still serves, and what comes is the answer."""
        assert self.ask(client, 200, "GET", "/plain", self.good).length == 100

    def post(self, client, body, **more):
        answer = self.ask(client, 200, "POST", "/hash", self.good, body=body, **more)
        assert answer.body.decode() == hashlib.sha256(body).hexdigest()

    def fresh_credentials(self):
        """One for 200, good for as many requests as a key may have in a minute, 401 and 429."""
        rows = [(self.gate.key()["key"], 200), (None, 401), (self.spent, 429)]
        return [(key, 200 if self.gate.bare else status) for key, status in rows]

    def ab(self, requests, *options):
        """Run ab at each of 200, 401 and 429: none of its requests may fail or hang."""
        url = f"http://127.0.0.1:{self.instance.port}/plain"
        for key, status in self.fresh_credentials():
            field = ["-H", f"Authorization: Bearer {key}"] if key else []
            command = ["ab", "-q", "-l", "-s", "20", "-n", str(requests), "-c", "16", *options]
            said = run(*command, *field, url)
            numbers = dict(re.findall(r"^([A-Z][\w -]+?):\s+(\d+)", said, re.M))
            assert numbers["Complete requests"] == str(requests), said
            assert numbers["Failed requests"] == "0", said
            refused = int(numbers.get("Non-2xx responses", 0))
            assert refused == (0 if status == 200 else requests), said

    def missing(self):
        """Requests that were counted and not executed; less than none: the other way round."""
        end = time.monotonic() + PATIENCE
        # Some write their logs late.
        while (missing := self.gate.admitted() - self.known - self.instance.executed()) > 0:
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        return missing

    def counted(self, check):
        """Run a check: the application executes the requests that the gate counts, and no other."""
        if self.gate.bare:
            check(self)
            return
        try:
            check(self)
        finally:
            missing = self.missing()
            self.known += missing
        assert missing == 0, f"{missing} requests were counted and not executed"


class Checks:
    """A table of checks, each a function of a scene, with the promise that it holds us to."""

    def __init__(self):
        self.rows = []

    def promise(self, name):
        """Decorate a check: put it into the table."""

        def add(check):
            self.rows.append((name, check))
            return check

        return add

    def run(self, stage, gate, application, results):
        """Run those that are wanted on one application."""
        rows = [(f"{application.name}: {name}", check) for name, check in self.rows]
        rows = [(name, check) for name, check in rows if stage.wants(name)]
        if not rows:
            return
        if application.missing():
            results.skip(application.name, f"{application.missing()} is not installed")
            return
        print(f"# {application.name} {application.version()}")
        start = f"{application.name} starts"
        scene = results.report(start, lambda: Scene(stage, gate, application))
        if not scene:
            return
        for name, check in rows:
            if gate.bare and check.__name__ in application.cannot:
                results.skip(name, "the application itself cannot do this")
            else:
                results.report(name, lambda check=check: scene.counted(check))
        scene.instance.stop()
