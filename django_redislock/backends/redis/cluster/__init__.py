"""A Cluster in the place of one server."""
