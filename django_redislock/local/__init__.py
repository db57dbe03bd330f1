"""The locks that this process holds: each hold, its renewal, its loss, and the process's end."""
