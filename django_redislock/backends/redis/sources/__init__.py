"""Sources of connections, as the settings name them: a cache, a location, Sentinels."""
