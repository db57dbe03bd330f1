"""Faults under load: workers that use locks while something breaks, and a judge of what they saw."""
