"""Figures of locks: counts and times by family of names, summed over all processes."""
