"""Servers, proxies and processes for those who need one of their own."""

from tests.support.fixtures import own_server, place, proxy, use, workers

__all__ = ["own_server", "place", "proxy", "use", "workers"]
