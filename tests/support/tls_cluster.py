"""Cluster on this machine that speaks TLS."""

from __future__ import annotations

from django_redislock.testing.servers import EmbeddedServer, free_port
from tests.support.cluster import ClusterSet
from tests.support.tls import Certificates


class TlsClusterSet(ClusterSet):
    """Nodes that speak TLS to each other, and to clients that show a certificate."""

    def __init__(self, certificates: Certificates, primaries: int, *, binary: str) -> None:
        certificate, key = certificates.server
        files = ("--tls-cert-file", certificate, "--tls-key-file", key)
        authority = ("--tls-ca-cert-file", certificates.authority)
        super().__init__(
            primaries, binary=binary, args=("--tls-cluster", "yes", *files, *authority)
        )
        self._ports: dict[EmbeddedServer, int] = {}

    def _server(self, *args: str) -> EmbeddedServer:
        port = free_port()
        server = super()._server(*args, "--tls-port", str(port))
        self._ports[server] = port
        return server

    def _port(self, server: EmbeddedServer) -> int:
        return self._ports[server]
