"""The layer behind a trained network: counts of what follows what, and a bias for items that a session holds."""
