"""A port that speaks TLS before a server that does not."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def tls_port(tmp_path: Path, redis_url: str) -> Iterator[int]:
    """A port that speaks TLS, and passes on what it is told to the suite's server."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    address = urlsplit(redis_url)
    ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(20) as pool:

        def pass_on(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near = context.wrap_socket(listening.accept()[0], server_side=True)
                    far = socket.create_connection((str(address.hostname), address.port or 6379))
                    ends.extend((near, far))
                    pool.submit(pass_on, near, far)
                    pool.submit(pass_on, far, near)

        pool.submit(accept)
        yield listening.getsockname()[1]
        for end in (listening, *ends):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(end, socket.SHUT_RDWR)
    for end in ends:
        end.close()
