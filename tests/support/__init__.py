"""Shared tools of the tests: a proxy that fails on demand, real processes, servers."""
