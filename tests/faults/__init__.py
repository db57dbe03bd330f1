"""Faults under load: workers use locks while something breaks, and a judge looks on."""
