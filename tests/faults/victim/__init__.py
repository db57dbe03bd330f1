"""Victim: the rows that the workers write, and which writes the database has accepted."""
