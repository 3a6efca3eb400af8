# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The WSGI application that gunicorn serves."""
import hashlib
import os
import time

LOG = os.open("access.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def stream():
    for i in range(5):
        yield b"piece %d\n" % i
        time.sleep(0.1)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    os.write(LOG, f"{environ['REQUEST_METHOD']} {path}\n".encode())
    digest = hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
    if path == "/hash":
        start_response("200 OK", [("Content-Length", "64")])
        return [digest.hexdigest().encode()]
    if path == "/stream":
        start_response("200 OK", [])
        return stream()
    try:
        file = open("content" + path, "rb")
    except OSError:
        start_response("404 Not Found", [("Content-Length", "8")])
        return [b"missing\n"]
    size = str(os.fstat(file.fileno()).st_size)
    start_response("200 OK", [("Content-Length", size)])
    if environ["REQUEST_METHOD"] == "HEAD":
        file.close()
        return []
    return environ["wsgi.file_wrapper"](file, 256 * 1024)
