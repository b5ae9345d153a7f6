"""An HTTP proxy for tests that cuts, alters, delays and replaces what passes, as a bad network or server does.

    with faulty_proxy(server.http) as proxy:
        proxy.plan("PUT", ".zip", DropAnswer())
        ...    # talk to proxy.url

A fault that was planned and never used fails the test: it proved nothing.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """The server does what was asked, and the answer never comes."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """The connection ends when so many bytes of the body have come; the server sees nothing of it."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """The connection ends when so many bytes of the answer's body were sent; its length was told right."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The server sees nothing; this is the answer."""

    status: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class FlipByte:
    """One bit of one byte of the body is another one when it arrives."""

    offset: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """The request waits, before it goes on, until somebody sets the event."""

    go_on: threading.Event
    arrived: threading.Event = field(default_factory=threading.Event)


Fault = DropAnswer | CutRequest | CutAnswer | Answer | FlipByte | Hold


@dataclass
class _Plan:
    method: str
    part: str
    fault: Fault
    left: int


@dataclass
class Proxy:
    """What passed, and what is planned."""

    url: str
    upstream: tuple[str, int]
    seen: list[tuple[str, str]] = field(default_factory=list)
    plans: list[_Plan] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, method: str, part: str, fault: Fault, *, times: int = 1) -> None:
        """Do this to the next requests of a method whose path and query, decoded, contain a text."""
        self.plans.append(_Plan(method, part, fault, times))

    def count(self, method: str, part: str) -> int:
        """How many such requests came."""
        return sum(each == method and part in path for each, path in self.seen)

    def fault_for(self, method: str, path: str) -> Fault | None:
        path = unquote(path)
        with self.lock:
            self.seen.append((method, path))
            for plan in self.plans:
                if plan.left and plan.method == method and plan.part in path:
                    plan.left -= 1
                    return plan.fault
        return None


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before an HTTP server as long as the context lasts."""
    parts = urlsplit(upstream)
    assert parts.hostname is not None
    assert parts.port is not None
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = Proxy(f"http://127.0.0.1:{server.server_port}", (parts.hostname, parts.port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    unused = [plan for plan in server.proxy.plans if plan.left]
    assert not unused, f"planned, and never used: {unused}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def handle_expect_100(self) -> bool:
        """Say at once that the body may come; else the client waits a second for it."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _relay(self) -> None:
        fault = self.server.proxy.fault_for(self.command, self.path)
        length = int(self.headers.get("Content-Length", 0))
        if isinstance(fault, CutRequest):
            self.rfile.read(min(fault.after_bytes, length))
            self._hang_up()
            return
        body = bytearray(self.rfile.read(length))
        if isinstance(fault, Answer):
            self._answer(fault)
            return
        if isinstance(fault, FlipByte):
            body[fault.offset] ^= 1
        if isinstance(fault, Hold):
            fault.arrived.set()
            fault.go_on.wait(60)
        upstream = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            response = upstream.getresponse()
            data = response.read()
        finally:
            upstream.close()
        if isinstance(fault, DropAnswer):
            self._hang_up()
            return
        self._hand_on(response, data, fault)

    def _hand_on(self, response: http.client.HTTPResponse, data: bytes, fault: Fault | None) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        told = response.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        if told is not None:
            self.send_header("Content-Length", told)
        self.end_headers()
        if isinstance(fault, CutAnswer):
            self.wfile.write(data[: fault.after_bytes])
            self._hang_up()
            return
        self.wfile.write(data)
        self.wfile.flush()

    def _answer(self, fault: Answer) -> None:
        text = f"<Error><Code>{fault.code}</Code><Message>planned</Message></Error>" if fault.code else ""
        body = b"" if self.command == "HEAD" else text.encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    do_GET = _relay  # noqa: N815 - the name that the base class looks for
    do_PUT = _relay  # noqa: N815 - the name that the base class looks for
    do_HEAD = _relay  # noqa: N815 - the name that the base class looks for
    do_POST = _relay  # noqa: N815 - the name that the base class looks for
    do_DELETE = _relay  # noqa: N815 - the name that the base class looks for

    def log_message(self, *_: object) -> None:
        """Nothing: `seen` has it."""
