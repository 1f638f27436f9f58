"""A shop cut by time, and what versions learned of its slices."""
