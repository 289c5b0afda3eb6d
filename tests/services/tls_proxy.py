"""TLS before a server of a test, as a reverse proxy in production: it ends here, and what comes goes on as it is.

    with TlsProxy({"idp.atosi.test": port, "app.atosi.test": other}, folder) as proxy:
        chromium.launch(args=[*launch_arguments(), *proxy.browser_arguments])
        page.goto("https://idp.atosi.test/")

One address for all names; the certificate is for all of them, and the `Host` of the request says whose it is. A browser
that was given `browser_arguments` finds the names here and believes this certificate alone.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.services.certificates import Authority, new_authority
from tests.services.ports import LOOPBACK

LARGEST_HEAD = 64 * 1024
WAITS_SECONDS = 60.0


class TlsProxy:
    """Listens on a port of its own between `start` and `stop`, or inside a `with` block."""

    def __init__(self, servers: Mapping[str, int], folder: Path, port: int = 0) -> None:
        """`servers`: the ports of the servers on this machine, by the name under which browsers ask for them."""
        self._servers = dict(servers)
        self.authority: Authority = new_authority(folder)
        first, *others = self._servers
        self._context = self.authority.server_context(first, folder, *others)
        self._certificate = folder / f"{first}.pem"
        self._listening = socket.create_server((LOOPBACK, port))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="TLS proxy", daemon=True)

    @property
    def port(self) -> int:
        found: int = self._listening.getsockname()[1]
        return found

    @property
    def browser_arguments(self) -> list[str]:
        """The command line for Chromium: the names are here, at the usual port, and this key is trusted."""
        rules = ", ".join(f"MAP {name}:443 {LOOPBACK}:{self.port}" for name in self._servers)
        return [f"--host-resolver-rules={rules}", f"--ignore-certificate-errors-spki-list={self._fingerprint()}"]

    def start(self) -> TlsProxy:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Nobody is let in any more; what is under way ends with its connections."""
        self._stopping.set()
        # Whoever waits for the next one is woken.
        with socket.create_connection((LOOPBACK, self.port)):
            self._thread.join()
        self._listening.close()

    def __enter__(self) -> TlsProxy:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _fingerprint(self) -> str:
        certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(sha256(key).digest()).decode()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            connection, _ = self._listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(WAITS_SECONDS)
            with self._context.wrap_socket(connection, server_side=True) as client:
                self._pass_on(client)
        except OSError:
            # Browsers open connections that they do not use, and close them when they like.
            return
        finally:
            connection.close()

    def _pass_on(self, client: ssl.SSLSocket) -> None:
        """One request, and its answer up to the end of the connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            received = client.recv(65536)
            if not received or len(head) > LARGEST_HEAD:
                return
            head += received
        head, _, rest = head.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        server = self._servers.get(headers.get(b"host", b"").decode("latin-1").partition(":")[0])
        if server is None:
            client.sendall(b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        # As a proxy that tells the server how it was asked, and keeps nobody else from saying so.
        own = (b"connection", b"x-forwarded-proto", b"x-forwarded-for", b"x-forwarded-host")
        kept = [line for line in lines[1:] if line.partition(b":")[0].strip().lower() not in own]
        kept += [b"X-Forwarded-Proto: https", b"X-Forwarded-For: 127.0.0.1", b"Connection: close"]
        length = int(headers.get(b"content-length", b"0"))
        with socket.create_connection((LOOPBACK, server), timeout=WAITS_SECONDS) as upstream:
            upstream.sendall(b"\r\n".join([lines[0], *kept]) + b"\r\n\r\n" + rest)
            missing = length - len(rest)
            while missing > 0 and (received := client.recv(min(65536, missing))):
                upstream.sendall(received)
                missing -= len(received)
            while received := upstream.recv(65536):
                client.sendall(received)
