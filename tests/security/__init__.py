"""Promises of SECURITY.md: hostile texts, tokens, access, stored data, memory."""
