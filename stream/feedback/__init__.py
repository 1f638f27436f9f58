"""Lists that were shown, and what was not clicked in them, as skips on the clicks' topic."""
