"""TLS in front of a server without TLS, with certificates for the tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from django_redislock.testing.servers import HOST

DAYS = "2"

# Explicit, because only some releases of openssl add it by default.
SIGNED_BY = "authorityKeyIdentifier=keyid"

# Elliptic curves, because generating RSA keys takes fifty times as long.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """An authority, and its certificates for a server on 127.0.0.1 and for a client.

    They have everything that Python 3.13 requires. Only ``vague_server`` does not name the key that
    has signed it, which is refused if ``VERIFY_X509_STRICT`` is set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = str(folder / "ca.crt")
        self._openssl(
            *("req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-days", DAYS),
            *("-out", "ca.crt", "-subj", "/CN=Test authority"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        addresses = f"subjectAltName=IP:{HOST},DNS:localhost"
        self.server = self._sign("server", addresses, SIGNED_BY)
        self.vague_server = self._sign("vague-server", addresses, "authorityKeyIdentifier=none")
        self.client = self._sign("client", "extendedKeyUsage=clientAuth", SIGNED_BY)

    def _sign(self, name: str, *extensions: str) -> tuple[str, str]:
        """Return the paths of a certificate and its key."""
        (self.folder / f"{name}.ext").write_text("\n".join(extensions))
        self._openssl(
            *("req", *NEW_KEY, "-keyout", f"{name}.key"),
            *("-out", f"{name}.csr", "-subj", f"/CN={name}"),
        )
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt"),
        )
        return str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)


class TlsServer:
    """Speaks TLS to clients that show a certificate, and plain TCP to the server behind it."""

    def __init__(self, certificates: Certificates, port: int, *, vague: bool = False) -> None:
        self._upstream = port
        self._context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority
        )
        shown = certificates.vague_server if vague else certificates.server
        self._context.load_cert_chain(*shown)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._stopping = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Close all connections, and wait until the threads have ended."""
        self._stopping = True
        self._shut(self._listener)
        for thread in self._threads:
            thread.join()
        for one in [self._listener, *self._sockets]:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self._start(self._serve, client)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Carry both directions in one thread, as two threads cannot share a TLS socket."""
        client.settimeout(10)  # for the handshake
        try:
            secure = self._context.wrap_socket(client, server_side=True)
        except (OSError, ValueError):
            return
        server = socket.create_connection((HOST, self._upstream))
        self._sockets += [secure, server]
        with contextlib.suppress(OSError, ValueError):
            secure.settimeout(0.005)
            server.settimeout(0.005)
            while not self._stopping:
                if not (self._carry(secure, server) and self._carry(server, secure)):
                    break
        self._shut(secure)
        self._shut(server)

    def _carry(self, source: socket.socket, target: socket.socket) -> bool:
        """Pass on the bytes that have arrived; return whether more may come."""
        try:
            received = source.recv(65536)
        except TimeoutError:
            return True
        target.sendall(received)
        return bool(received)

    def _shut(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
