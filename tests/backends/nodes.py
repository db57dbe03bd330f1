"""Nodes, and simple requests to their servers."""

from __future__ import annotations

from typing import Any

from redis.connection import ConnectionPool

from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wire.node import Node

PING = pack("PING")


def node_at(url: str, **settings: Any) -> Node:
    return Node(Source(ConnectionPool.from_url(url, **settings), "here"))


def echo(node: Node, word: str) -> Any:
    """The answer of the server: the same word, unless it answers another request."""
    (reply,), _ = node.exchange((pack("ECHO", word),))
    return reply.decode()


def opened(node: Node) -> int:
    return sum(link.sock is not None for link in node._links)
