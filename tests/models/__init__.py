"""Models of the lock, explored exhaustively, and the real thing compared with them."""
