"""Servers that fail over."""
