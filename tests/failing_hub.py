"""A hub on 127.0.0.1 that speaks what huggingface_hub speaks with the real one, and fails on purpose.

HEAD and GET of /<repository>/resolve/<revision>/<file>, ranges, redirects to where contents lie. What goes wrong is set
on `Hub`: the fields that most tests need, and for the rest `faults`, answers that take the place of the right one.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from voicekit.checkpoint import REPOSITORIES

(FIRST, PINNED), (SECOND, BRANCH) = REPOSITORIES
OTHER_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, how it behaves, and what it was asked."""

    files: dict[str, dict[str, bytes]]  # repository -> name -> content
    cut_after: list[int] = field(default_factory=list)  # bytes of the next answers for model.pth
    reset: bool = False  # a cut is a reset connection, not a closed one
    then_status: int = 0  # what model.pth is answered once `cut_after` is used up
    elsewhere: str = ""  # where contents are redirected to, as large files of the real hub are
    claims_size: bool = True
    silent: threading.Event | None = None  # answer nothing before this is set
    faults: dict[str, list[Fault]] = field(default_factory=dict)  # "GET model.pth" -> its next answers, in order
    always: dict[str, Fault] = field(default_factory=dict)  # the same, for each of its answers; "HEAD *" is any file's
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    authorised: list[str] = field(default_factory=list)  # paths that were asked for with a token
    url: str = ""

    def gets(self, name: str) -> list[str | None]:
        """The Range headers of all GETs of a file, in order."""
        return [ranges for method, path, ranges in self.asked if method == "GET" and path.endswith(name)]

    def fault(self, method: str, name: str) -> Fault | None:
        """What is to go wrong with a request."""
        key = f"{method} {name}"
        if self.faults.get(key):
            return self.faults[key].pop(0)
        return self.always.get(key) or self.always.get(f"{method} *")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        hub, ranges = self.hub, self.headers.get("Range")
        hub.asked.append((self.command, self.path, ranges))
        if self.headers.get("Authorization"):
            hub.authorised.append(self.path)
        if hub.silent:
            hub.silent.wait(60)
        repository, _, rest = self.path.strip("/").partition("?")[0].partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = hub.files.get(repository, {}).get(name)
        fault = hub.fault(self.command, name)
        if fault:
            return fault(self, content or b"")
        if content is None:
            error = "EntryNotFound" if repository in hub.files else "RepoNotFound"
            return self.head(404, {"X-Error-Code": error})
        facts = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": revision if revision == PINNED else OTHER_COMMIT,
            "Accept-Ranges": "bytes",
        }
        if hub.elsewhere:
            linked = {"X-Linked-Etag": facts["ETag"], "X-Linked-Size": str(len(content))}
            return self.head(302, {**facts, **linked, "Location": f"{hub.elsewhere}{self.path}?signed=1"})
        if with_body and name == "model.pth" and not hub.cut_after and hub.then_status:
            return self.head(hub.then_status)
        start = int(ranges.removeprefix("bytes=").partition("-")[0]) if ranges else 0
        if ranges and start >= len(content):
            return self.head(416)
        body = content[start:]
        if start:
            facts["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if with_body or hub.claims_size:
            facts["Content-Length"] = str(len(body))
        else:
            facts["Connection"] = "close"
        self.head(206 if start else 200, facts)
        if with_body:
            self._send(body, hub.cut_after.pop(0) if name == "model.pth" and hub.cut_after else None)
        return None

    def _send(self, body: bytes, cut: int | None) -> None:
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True
            if self.hub.reset:
                self.wfile.flush()
                threading.Event().wait(0.3)  # let the client read: a reset throws away what it has not read
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    def head(self, status: int, headers: dict[str, str] | None = None) -> None:
        """The answer up to its body; one without a length ends with the connection."""
        self.send_response(status)
        for key, value in {"Content-Length": "0", **(headers or {})}.items():
            if not (key == "Content-Length" and (headers or {}).get("Connection") == "close"):
                self.send_header(key, value)
        self.end_headers()

    def send_quietly(self, body: bytes) -> bool:
        """Whether somebody still listens."""
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            return False
        return True


# An answer in place of the right one; it is given the content, empty where there is no such file.
Fault = Callable[[Handler, bytes], None]
PAGE = b"<!doctype html><title>Welcome</title><form>Room number and name</form>" * 40


def status(code: int, **headers: str) -> Fault:
    """A status with headers (`Retry_After="1"`) and no body."""
    return lambda handler, _: handler.head(code, {key.replace("_", "-"): value for key, value in headers.items()})


def page(handler: Handler, _: bytes) -> None:
    """The login page of a hotel's network, or a proxy's: 200."""
    handler.head(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(PAGE))})
    if handler.command == "GET":
        handler.wfile.write(PAGE)


def circle(handler: Handler, _: bytes) -> None:
    """To itself, for ever."""
    handler.head(302, {"Location": handler.path})


def closed(handler: Handler, content: bytes) -> None:
    """The right headers, and nothing behind them."""
    handler.head(200, {"Content-Length": str(len(content))})
    handler.close_connection = True


def whole(handler: Handler, content: bytes) -> None:
    """All of the file, whatever range was asked for."""
    handler.head(200, {"Content-Length": str(len(content))})
    handler.wfile.write(content)


def whole_and_cut(after: int) -> Fault:
    """The file from its beginning, whatever range was asked for, and a closed connection behind so many bytes."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(200, {"Content-Length": str(len(content))})
        handler.send_quietly(content[:after])
        handler.close_connection = True

    return answer


def other_range(start: int, *, said: bool) -> Fault:
    """A 206 with another part of the file; whether its header says so."""

    def answer(handler: Handler, content: bytes) -> None:
        asked = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        told = start if said else asked
        length = len(content) - start if said else len(content) - asked
        handler.head(206, {"Content-Range": f"bytes {told}-{told + length - 1}/{len(content)}",
                           "Content-Length": str(length)})  # fmt: skip
        handler.send_quietly(content[start : start + length].ljust(length, b"\0"))

    return answer


def gzipped(handler: Handler, content: bytes) -> None:
    """Compressed although nobody asked for it, and without a length, as proxies do."""
    handler.head(200, {"Content-Encoding": "gzip", "Connection": "close"})
    handler.close_connection = True
    handler.send_quietly(gzip.compress(content, 1))


def bomb(handler: Handler, _: bytes) -> None:
    """A few kilobytes that unpack to 64 MiB."""
    body = gzip.compress(bytes(2**26), 9)
    handler.head(200, {"Content-Encoding": "gzip", "Content-Length": str(len(body))})
    handler.send_quietly(body)


def endless(handler: Handler, content: bytes) -> None:
    """Says no length, begins as the file does, and never ends."""
    handler.head(200, {"Connection": "close"})
    handler.close_connection = True
    handler.send_quietly(content)
    for _ in range(100_000):
        if not handler.send_quietly(bytes(2**16)):
            return
    raise AssertionError("somebody took 6 GB for a small file")


def dripping(count: int, pause_s: float) -> Fault:
    """So many bytes at a time, for as long as somebody listens."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(200, {"Content-Length": str(len(content))})
        for start in range(0, len(content), count):
            if not handler.send_quietly(content[start : start + count]):
                return
            threading.Event().wait(pause_s)

    return answer


def stalled(after: int, until: threading.Event) -> Fault:
    """So many bytes of what was asked for, then nothing before the event."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.head(200, {"Content-Length": str(len(content))})
        handler.send_quietly(content[:after])
        until.wait(120)
        handler.close_connection = True

    return answer


@contextlib.contextmanager
def serving(hub: Hub, tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    """The hub at `hub.url` while this is open."""
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hub.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no failure of a test."""
