# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The stage of the tests in tests/apps, as tests/net/stage.c makes one.

Two processes: the outer one makes the cgroup and the folder, waits, and takes down whatever is
left; the inner one, in a network and a mount namespace of its own, runs the tests. All waits are
bounded.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.realpath(f"{os.path.dirname(__file__)}/../..")
PATIENCE = 20  # seconds for anything that should happen at once
TEST_PATIENCE = 240  # seconds for one test
LARGE = 100 << 20
HUGE = 1 << 30


def wait_until(condition, what, process=None, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if process and not process.runs():
            raise AssertionError(f"not so: {what}; it ended, and said: {process.said()}")
        if time.monotonic() > end:
            raise AssertionError(f"not so within {patience} s: {what}")
        time.sleep(0.01)


class Process:
    """A child process with its output in a file; it dies with us, by the cgroup."""

    def __init__(self, command, log, cwd="/", env=None):
        self.log = log
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **(env or {}))
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=environment,
            )

    def runs(self):
        return self.child.poll() is None

    def said(self):
        with open(self.log, encoding="latin-1") as file:
            return file.read()[-2000:]

    def stop(self):
        """SIGTERM, then SIGKILL; returns the exit status."""
        self.child.terminate()
        try:
            return self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait(PATIENCE)


class Control(http.client.HTTPConnection):
    """The control socket."""

    def __init__(self, path):
        super().__init__("sluice", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)

    def call(self, method, target, body=None):
        self.request(method, target, body and json.dumps(body))
        response = self.getresponse()
        text = response.read()
        if response.status not in (200, 201):
            raise AssertionError(f"{method} {target}: {response.status} {text}")
        return json.loads(text)


class Daemon:
    """The daemon, with all that is its own on the stage; more: of its command line."""

    def __init__(self, stage, ports, more=()):
        self.socket = f"{stage.folder}/control.sock"
        self.pin = f"{stage.folder}/bpf/sluice"
        self.places = ["--state", f"{stage.folder}/state", "--socket", self.socket]
        self.places += ["--pin", self.pin, "--cgroup", stage.cgroup, *more]
        self.program = f"{ROOT}/build/{stage.build}sluiced"
        self.ports = [word for port in ports for word in ("--port", str(port))]
        self.log = f"{stage.folder}/sluiced.log"
        self.process = None

    def start(self, patience=PATIENCE):
        """Returns when it listens, which is when all keys are in force."""
        self.process = Process([self.program, *self.places, *self.ports], self.log)
        wait_until(
            lambda: os.path.exists(self.socket), "the daemon listens", self.process, patience
        )

    def call(self, method, target, body=None):
        control = Control(self.socket)
        try:
            return control.call(method, target, body)
        finally:
            control.close()

    def map(self, name):
        """What bpftool shows of a map that is pinned."""
        return json.loads(run("bpftool", "-j", "map", "show", "pinned", f"{self.pin}/{name}"))

    def stop(self):
        status = self.process.stop()
        assert status == 0, f"the daemon ended with status {status}: {self.process.said()}"


class Gate(Daemon):
    """The daemon in front of the applications; bare: none, and every request is let through."""

    bare = False

    def __init__(self, stage, ports):
        super().__init__(stage, ports)
        self.serial = 0
        self.start()
        self.good = self.key(per_minute=10000, per_day=100000)["key"]
        self.unknown = self.key()["key"]
        self.revoke(self.call("GET", "/v1/keys")["keys"][-1]["id"])

    def key(self, per_minute=10000, per_day=100000):
        """A new key's record, with its text as "key"."""
        self.serial += 1
        limits = {"perMinute": per_minute, "perDay": per_day}
        return self.call(
            "POST", "/v1/keys", {"account": f"account-{self.serial}", "label": "test", **limits}
        )

    def revoke(self, key_id):
        self.call("DELETE", f"/v1/keys/{key_id}")

    def used(self, key):
        return self.call("GET", f"/v1/keys/{key['id']}")["usedDay"]

    def counters(self):
        return self.call("GET", "/v1/status")["counts"]

    def admitted(self):
        return self.counters()["admitted"]


class NoGate:
    """What tests ask of the gate where there is none (--bare)."""

    bare = True
    good = unknown = "gx_bare"

    def key(self, per_minute=10000, per_day=100000):
        return {"id": "bare", "key": "gx_bare"}

    def stop(self):
        pass


class Stage:
    """Inside the namespaces: folders, content, and what is told on the command line."""

    def __init__(self, folder, cgroup, arguments):
        self.folder = folder
        self.cgroup = cgroup
        self.bare = "--bare" in arguments
        self.build = "" if "--release" in arguments else "test/"
        self.patterns = [word for word in arguments if not word.startswith("--")]
        self.content = f"{folder}/content"
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "sluice-test", folder)
        os.mkdir(f"{folder}/bpf", 0o700)
        os.mkdir(self.content)
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", f"{folder}/bpf")
        run("ip", "link", "set", "lo", "up")
        self.set_network("ip_local_port_range", "15000 65000")
        self.set_network("tcp_congestion_control", "reno")  # for buffers as Linux's own, cubic, has them
        with open(f"{self.content}/plain", "w", encoding="ascii") as file:
            file.write("0123456789" * 10)

    @staticmethod
    def set_network(name, value):
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
            file.write(value)

    def fill(self, name, size):
        """Make a file of content, no two of its blocks alike."""
        block = os.urandom(1 << 20)
        with open(f"{self.content}/{name}", "wb") as file:
            for i in range(0, size, len(block)):
                file.write((b"%016x" % i + block)[: min(size - i, len(block))])

    def wants(self, name):
        return not self.patterns or any(pattern in name for pattern in self.patterns)

    @staticmethod
    def listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            return False
        return True

    def gate(self, ports):
        return NoGate() if self.bare else Gate(self, ports)


def run(*command, **more):
    """Run a program to its end, which must be well; returns what it said on standard output."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TEST_PATIENCE, check=False, **more
    )
    assert done.returncode == 0, f"{command[0]}: {done.returncode} {done.stderr[-1000:]}"
    return done.stdout


class Results:
    """TAP on the standard output."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def report(self, name, check):
        """Run check(), which raises where the promise does not hold; returns what it returns."""
        self.count += 1
        signal.alarm(TEST_PATIENCE)
        try:
            result = check()
        except Exception as problem:
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            print(f"# {type(problem).__name__}: {problem}".replace("\n", "\n# "))
            frames = traceback.extract_tb(problem.__traceback__)
            for frame in [frame for frame in frames if "/test_" in frame.filename][1:] + frames[-1:]:
                print(f"#   {os.path.basename(frame.filename)}:{frame.lineno} {frame.line}")
            return None
        else:
            print(f"ok {self.count} - {name}")
            return result
        finally:
            signal.alarm(0)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")


def late(*_):
    raise AssertionError(f"not done within {TEST_PATIENCE} s")


def inside(tests, arguments):
    signal.signal(signal.SIGALRM, late)
    results = Results()
    tests(Stage(*arguments[:2], arguments[2:]), results)
    print(f"1..{results.count}")
    return 1 if results.failed else 0


def make_cgroup():
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        root = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
    path = f"{root}/sluice-test.{os.getpid()}"
    os.mkdir(path)
    return path


def clear_away(cgroup, folder):
    with open(f"{cgroup}/cgroup.kill", "w", encoding="ascii") as file:
        file.write("1")
    end = time.monotonic() + PATIENCE
    while os.path.exists(cgroup) and time.monotonic() < end:
        try:
            for group, *_ in os.walk(cgroup, topdown=False):
                os.rmdir(group)
        except OSError:
            time.sleep(0.01)
    shutil.rmtree(folder)


def outside():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix=f"sluice-test.{os.getpid()}.", dir="/tmp")
    cgroup = make_cgroup()
    enter = 'echo $$ >"$1/cgroup.procs" && shift && exec unshare -n -m --propagation private "$@"'
    program = [sys.executable, "-Bu", sys.argv[0], "--inside", folder, cgroup, *sys.argv[1:]]
    try:
        return subprocess.call(["sh", "-c", enter, "sh", cgroup, *program])
    finally:
        clear_away(cgroup, folder)


def on_stage(act):
    """Run act(arguments), a folder, a cgroup and the command line's, in namespaces of its own."""
    sys.stdout.reconfigure(line_buffering=True)
    try:
        sys.exit(act(sys.argv[2:]) if sys.argv[1:2] == ["--inside"] else outside())
    except KeyboardInterrupt:
        sys.exit(130)


def main(tests):
    """The main of a test program: tests(stage, results) runs on a stage of its own."""
    on_stage(lambda arguments: inside(tests, arguments))
