# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The applications that the tests put behind the gate.

Each serves /plain, /large, /huge and /missing from its folder "content", answers a POST to /hash
with the SHA-256 of the body, sends five pieces a tenth of a second apart for /stream, and logs
each request that it executes as a line "METHOD TARGET ...". @WORDS@ in commands and in the
configuration stand for what Application.start() gives.
"""
import os
import re
import shutil
import subprocess

from stage import ROOT, Process, wait_until

ORIGIN_PORT = 7000  # where nginx's origin listens, ungated
BARE = 1000  # added to its port: the same application, ungated
LOG_LINE = re.compile(r"^(GET|HEAD|POST|PUT) /", re.M)


class Application:
    def __init__(
        self, name, port, command, version, template=None, log="access.log", cannot=()
    ):
        self.name = name
        self.port = port
        self.command = command.split()
        self.template = template
        self.log = log
        self.cannot = cannot  # checks that fail without the gate, too
        self.version_command = version.split()

    def missing(self):
        """The program that is not installed, or None."""
        program = self.command[0]
        return None if program.startswith("@") or shutil.which(program) else program

    def version(self):
        done = subprocess.run(self.version_command, capture_output=True, text=True, check=False)
        return re.search(r"\d+(\.\d+)+", done.stdout + done.stderr).group()

    def start(self, stage, port=None):
        """Start it on its port, or on another one; returns the running instance."""
        return Instance(self, stage, port or self.port)


class Instance:
    """An application that runs on a port."""

    def __init__(self, application, stage, port):
        self.port = port
        self.folder = f"{stage.folder}/app-{port}"
        self.log = f"{self.folder}/{application.log}"
        os.makedirs(f"{self.folder}/upload", exist_ok=True)
        os.symlink(stage.content, f"{self.folder}/content")
        for program in ("hash.cgi", "stream.cgi"):  # where any user may run them
            shutil.copy(f"{ROOT}/tests/apps/{program}", self.folder)
        self.words = {
            "FOLDER": self.folder,
            "PORT": str(port),
            "ORIGIN": str(ORIGIN_PORT),
            "ROOT": ROOT,
            "STAGE": stage.folder,
        }
        if application.template:
            with open(f"{ROOT}/tests/apps/{application.template}", encoding="utf-8") as file:
                text = self.filled(file.read())
            with open(f"{self.folder}/configuration", "w", encoding="utf-8") as file:
                file.write(text)
        command = [self.filled(word) for word in application.command]
        self.process = Process(command, f"{self.folder}/output.log", cwd=self.folder)
        wait_until(lambda: stage.listens(port), f"{application.name} listens", self.process)

    def filled(self, text):
        return re.sub(r"@([A-Z]+)@", lambda word: self.words[word[1]], text)

    def executed(self):
        """Number of requests in its log."""
        if not os.path.exists(self.log):
            return 0
        with open(self.log, encoding="latin-1") as file:
            return len(LOG_LINE.findall(file.read()))

    def stop(self):
        self.process.stop()


ORIGIN = Application(
    "origin", ORIGIN_PORT, "python3 @ROOT@/tests/apps/app_http.py @PORT@", version="python3 -V"
)

APPLICATIONS = [
    Application(
        "nginx",
        8001,
        "nginx -p @FOLDER@ -e error.log -c configuration",
        template="nginx.conf",
        version="nginx -v",
    ),
    Application(
        "Apache httpd",
        8002,
        "apache2 -D FOREGROUND -f @FOLDER@/configuration",
        template="apache.conf",
        version="apache2 -v",
    ),
    Application(
        "lighttpd",
        8003,
        "lighttpd -D -f configuration",
        template="lighttpd.conf",
        version="lighttpd -v",
    ),
    Application(
        "HAProxy",
        8004,
        "haproxy -db -f configuration",
        template="haproxy.cfg",
        log="output.log",
        version="haproxy -v",
    ),
    Application("Node http", 8005, "node @ROOT@/tests/apps/app.js @PORT@", version="node -v"),
    Application(
        "Python http.server",
        8006,
        "python3 @ROOT@/tests/apps/app_http.py @PORT@",
        version="python3 -V",
    ),
    Application(
        "gunicorn",
        8007,
        "gunicorn -b 127.0.0.1:@PORT@ -k gthread --threads 32 --keep-alive 600"
        " --chdir @FOLDER@ --pythonpath @ROOT@/tests/apps app_wsgi",
        version="gunicorn --version",
        cannot=("pipelined", "pipelined_bodies", "crowd"),
    ),
    Application("Go net/http", 8008, "@ROOT@/build/test/app_go @PORT@", version="go version"),
    Application(
        "Java HttpServer",
        8009,
        "java @ROOT@/tests/apps/App.java @PORT@",
        version="java -version",
    ),
]
