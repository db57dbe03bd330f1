"""Locks of database rows, and fences that refuse a writer whose hold was lost."""
