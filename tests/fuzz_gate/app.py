# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Python's http.server for the fuzzer: app.py PORT FOLDER

What it logs and how it answers: as tests/net/app_lenient.c.
"""
import http.server
import os
import re
import sys

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
LOG = os.open(FOLDER + "/executed.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
KEY = re.compile("gx_[A-Za-z0-9]{49}(?![A-Za-z0-9])")
TARGET = re.compile(r"/r/(\d+)/(\d+)/(.)")


def log(text):
    os.write(LOG, text.encode("latin-1", "replace"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Has Python poll before each recv(): one that sleeps in it may be told EAGAIN (README, limits).
    timeout = 600
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def log_message(self, *arguments):
        pass

    def log_execution(self):
        identities = [value for name, value in self.headers.items()
                      if name.lower().replace("_", "-") == "x-key-id"]
        identity = "several" if len(identities) > 1 else "-"
        if len(identities) == 1:
            identity = re.split("[;, \t]", identities[0])[0]
        log(f"R {self.client_address[1]} {identity} {self.path}\n")
        if KEY.search(self.requestline + str(self.headers)):
            log(f"S {self.client_address[1]}\n")

    def read_body(self):
        if self.headers.get("Transfer-Encoding"):
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                self.rfile.read(size + 2)
                if not size:
                    return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def serve(self):
        self.log_execution()
        match = TARGET.search(self.path)
        number, size, how = match.groups() if match else ("0", "2", "l")
        if how == "e":
            self.answer(number, int(size), how)
        self.read_body()
        if how != "e":
            self.answer(number, int(size), how)

    def answer(self, number, size, how):
        body = bytearray(b"a" * size)
        if size > 12:
            body[:len(number) + 1] = number.encode() + b":"
        if how == "i" and self.request_version != "HTTP/1.0":
            self.send_response_only(102)
            self.end_headers()
        self.send_response({"n": 204, "m": 304}.get(how, 200))
        if how == "c":
            self.send_header("Transfer-Encoding", "chunked")
        elif how not in "nu":
            self.send_header("Content-Length", str(size))
        if how == "u" or self.close_connection:
            self.send_header("Connection", "close")
        elif self.request_version == "HTTP/1.0":
            self.send_header("Connection", "keep-alive")
        self.end_headers()
        if how in "nm" or self.command == "HEAD":
            return
        if how in "cp":
            for at in range(0, size, 1000):
                piece = body[at:at + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if how == "c" else piece)
            if how == "c":
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            log(f"E {client_address[1]}\n")

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", PORT), Handler).serve_forever()
