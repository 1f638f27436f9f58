"""Click logs: read from any form, kept as arrays, split by time."""
