"""Backends: the places where locks live."""
