"""Workers under faults, and what must hold whatever happens: the parts of `python -m bench.faults`."""
