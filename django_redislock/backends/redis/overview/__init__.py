"""Readings of all the locks of a server, and the figures of the last hour."""
