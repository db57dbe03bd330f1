"""Sources of connections that the settings may name: a cache, a location, Sentinels."""
