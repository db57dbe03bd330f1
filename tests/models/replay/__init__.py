"""Replay of the protocol model's traces on a real server whose clock is set by the test."""
