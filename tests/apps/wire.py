# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""HTTP/1.1 on a bare socket, for tests that care how the bytes come and go."""
import hashlib
import socket
import time

PATIENCE = 20  # seconds without a byte until a wait has failed
KEPT = 1 << 20  # bytes of a body that are kept; all of it is hashed
# What a browser with 3 KB of cookies adds to a request's head.
BROWSER = [
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="126", "Not A Brand";v="8"',
    "sec-ch-ua-mobile: ?0",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate",
    "Accept-Language: en-US,en;q=0.9",
    "Cookie: " + "; ".join(f"session_{i}={'0123456789abcdef' * 6}" for i in range(27)),
]


class Answer:
    """Status, fields as (name in lower case, value), body, and when each piece of it came."""

    def __init__(self, status):
        self.status = status
        self.fields = []
        self.body = b""
        self.length = 0
        self.digest = hashlib.sha256()
        self.arrivals = []

    def values(self, name):
        return [value for field, value in self.fields if field == name]

    def value(self, name):
        values = self.values(name)
        assert len(values) == 1, f"{len(values)} {name} fields in {self.fields}"
        return values[0]

    def add(self, piece):
        self.digest.update(piece)
        self.length += len(piece)
        if len(self.body) < KEPT:
            self.body += piece
        self.arrivals.append(time.monotonic())


class Connection:
    """Fails by an exception wherever the other side is late, ends early or says what is not HTTP."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece)

    def more(self):
        """Read what there is; False at the end of input."""
        piece = self.socket.recv(1 << 18)
        self.waiting += piece
        return bool(piece)

    def take(self, size):
        piece, self.waiting = self.waiting[:size], self.waiting[size:]
        return piece

    def line(self):
        while b"\r\n" not in self.waiting:
            assert self.more(), f"the connection ended after {self.waiting!r}"
        line, self.waiting = self.waiting.split(b"\r\n", 1)
        return line.decode("latin-1")

    def head(self):
        version, status, *_ = self.line().split(" ")
        assert version in ("HTTP/1.0", "HTTP/1.1"), f"no status line: {version!r}"
        answer = Answer(int(status))
        while line := self.line():
            name, value = line.split(":", 1)
            answer.fields.append((name.lower(), value.strip()))
        return answer

    def sized(self, answer, size):
        while size:
            if not self.waiting:
                assert self.more(), f"the body ended {size} bytes early"
            piece = self.take(size)
            size -= len(piece)
            answer.add(piece)

    def chunks(self, answer):
        while size := int(self.line().split(";")[0], 16):
            self.sized(answer, size)
            assert self.line() == "", "a chunk is longer than its size"
        while self.line():
            pass

    def until_close(self, answer):
        while self.waiting or self.more():
            answer.add(self.take(len(self.waiting)))

    def answer(self, method="GET"):
        """Read one answer, its body as its framing says."""
        answer = self.head()
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.values("transfer-encoding"):
            self.chunks(answer)
        elif answer.values("content-length"):
            self.sized(answer, int(answer.value("content-length")))
        else:
            self.until_close(answer)
        return answer

    def ask(self, method, target, key, **more):
        self.send(request(method, target, key, **more))
        return self.answer(method)

    def expect_end(self):
        """The other side says no more and ends; a reset is a ConnectionResetError."""
        assert not self.waiting and not self.more(), f"stray bytes: {self.waiting[:200]!r}"


def head(method, target, key, fields=(), version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: api.test"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def request(method, target, key, fields=(), body=None, chunked=0, version="1.1"):
    """A whole request as bytes; chunked: the size of the body's chunks, 0 for Content-Length."""
    fields = list(fields)
    if body is None:
        return head(method, target, key, fields, version)
    if not chunked:
        return head(method, target, key, [*fields, f"Content-Length: {len(body)}"], version) + body
    chunks = [chunk(body[at : at + chunked]) for at in range(0, len(body), chunked)]
    fields.append("Transfer-Encoding: chunked")
    return head(method, target, key, fields, version) + b"".join(chunks) + b"0\r\n\r\n"
