"""Figures of locks: counts and times by the family of a name, which all processes add up."""
