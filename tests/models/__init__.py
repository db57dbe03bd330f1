"""Models of the lock, explored exhaustively and compared with the real code."""
