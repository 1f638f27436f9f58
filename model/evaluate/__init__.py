"""How good lists are: the protocol, its metrics, and the baselines beside every model."""
