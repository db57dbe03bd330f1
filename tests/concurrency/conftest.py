"""A server for each test that does to it what others must not see."""

from tests.support.fixtures import own_server, place, proxy, use, workers

__all__ = ["own_server", "place", "proxy", "use", "workers"]
