"""What SECURITY.md says, as tests: hostile texts, tokens, access, what is stored, memory."""
