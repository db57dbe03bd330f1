"""Connections to one server: commands go out, replies come back."""
