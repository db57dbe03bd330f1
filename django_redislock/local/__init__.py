"""Holds of this process: their renewal, their loss, and their release at shutdown."""
