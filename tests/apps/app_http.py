# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Python's http.server as the application: app_http.py PORT, in the folder of content and log."""
import hashlib
import os
import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def end_headers(self):
        # Without it, clients that speak HTTP/1.0 wait for the end of the connection.
        if self.request_version == "HTTP/1.0" and not self.close_connection:
            self.send_header("Connection", "keep-alive")
        super().end_headers()

    def pieces_of_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                raise ConnectionError("the body ended early")
            left -= len(piece)
            yield piece

    def respond(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def respond_file(self):
        try:
            file = open("content" + self.path, "rb")
        except OSError:
            self.respond(404, b"missing\n")
            return
        with file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile, 256 * 1024)

    def respond_stream(self):
        chunked = self.request_version == "HTTP/1.1"
        self.send_response(200)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()
        for i in range(5):
            piece = b"piece %d\n" % i
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            time.sleep(0.1)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def do_GET(self):
        digest = hashlib.sha256()
        for piece in self.pieces_of_body():
            digest.update(piece)
        if self.path.startswith("/hash"):
            self.respond(200, digest.hexdigest().encode())
        elif self.path.startswith("/stream"):
            self.respond_stream()
        else:
            self.respond_file()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_request(self, code="-", size="-"):
        os.write(LOG, f"{self.command} {self.path} {code}\n".encode())


LOG = os.open("access.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
