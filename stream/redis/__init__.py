"""The newest list of each session in Redis, of any kind: one server, a cluster, sentinels."""
