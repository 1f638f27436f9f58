"""What a caller meets: addresses, keys, answers, and who waits for an update."""
