"""Tests with a Cluster, with replicas, and with Sentinel."""
