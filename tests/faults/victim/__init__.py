"""Victim: the rows that workers write, and the writes that the database has accepted."""
