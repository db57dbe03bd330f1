"""What this process holds: each hold from its grant to its end, its renewal, and its loss."""
