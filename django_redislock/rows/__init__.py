"""Rows that are locked by their names, and rows that refuse a writer whose hold was lost."""
