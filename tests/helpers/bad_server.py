"""An HTTP server on the loopback interface that fails on command."""

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mofore.videos.http import Source


@dataclass
class BadServer:
    """Content and behaviour of the server.

    Attributes:
        url: of the server's root, without a slash at the end.
        files: content by path.
        tricks: for each path, how to answer successive requests: names of methods of the handler, or `other` (wrong
            bytes), or `shrunk` (a shorter file). After the last one, the answer is `fine`.
        asked: path and first requested byte (None: no range) of each request.
        pause: seconds to wait before each 64 KiB.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tricks: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, int | None]] = field(default_factory=list)
    pause: float = 0.0

    def add(self, path: str, content: bytes, *tricks: str, broken_certificate: bool = False) -> Source:
        """Serve `content` after answering with `tricks`. Returns the source to fetch it from."""
        self.files[path], self.tricks[path] = content, list(tricks)
        return Source(self.url + path, len(content), sha256(content).hexdigest(), broken_certificate)


def _handler(server: BadServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else None
            server.asked.append((self.path, start))
            tricks = server.tricks.get(self.path)
            trick = tricks.pop(0) if tricks else "fine"
            content = server.files.get(self.path, b"")
            if trick == "other":
                content = bytes(255 - byte for byte in content)
            elif trick == "shrunk":
                content = content[:1000]
            getattr(self, trick, self.fine)(content, start)

        def head(self, status: int, **headers: object) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()

        def send(self, body: bytes) -> None:
            for first in range(0, len(body), 1 << 16):
                time.sleep(server.pause)
                self.wfile.write(body[first : first + (1 << 16)])

        def begin(self, content: bytes, start: int | None) -> bytes:
            """Send the head of a correct answer and return its body."""
            if start is None:
                self.head(200, Content_Length=len(content))
            elif start >= len(content):
                self.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
            else:
                which = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.head(206, Content_Range=which, Content_Length=len(content) - start)
            return content[start:]

        def fine(self, content: bytes, start: int | None) -> None:
            self.send(self.begin(content, start))

        def no_ranges(self, content: bytes, start: int | None) -> None:
            self.fine(content, None)

        def no_ranges_early(self, content: bytes, start: int | None) -> None:
            self.send(self.begin(content, None)[: len(content) // 4])

        def early(self, content: bytes, start: int | None) -> None:
            body = self.begin(content, start)
            self.send(body[: len(body) // 2])

        def nothing(self, content: bytes, start: int | None) -> None:
            self.begin(content, start)

        def hangs(self, content: bytes, start: int | None) -> None:
            body = self.begin(content, start)
            self.send(body[: len(body) // 2])
            time.sleep(2)

        def page(self, content: bytes, start: int | None) -> None:
            self.head(200, Content_Type="text/html")
            self.send(b"<p>Please log in to the network of this hotel.</p>")

        def too_little(self, content: bytes, start: int | None) -> None:
            self.fine(content[:-1], None)

        def ahead(self, content: bytes, start: int | None) -> None:
            """Send a different range than requested."""
            self.fine(content, (start or 0) + 100)

        def busy(self, content: bytes, start: int | None) -> None:
            self.head(503, Content_Length=0)

        def gone(self, content: bytes, start: int | None) -> None:
            self.head(404, Content_Length=0)

        def moved(self, content: bytes, start: int | None) -> None:
            self.head(302, Location=f"{self.path}.moved", Content_Length=0)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client was killed or closed the connection
                self.close_connection = True

    return Handler


@contextmanager
def bad_server(certificate: Path | None = None) -> Iterator[BadServer]:
    """Run the server on a free port.

    Args:
        certificate: a PEM file with key and certificate; if given, the server speaks TLS.
    """
    bad = BadServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(bad)) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        bad.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield bad
        finally:
            server.shutdown()
