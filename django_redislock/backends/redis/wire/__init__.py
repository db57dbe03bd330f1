"""Connections to one server, for sending commands and reading replies."""
