"""A shop that shifts, served with a trainer and without one: the parts of `python -m bench.shift.drift`."""
