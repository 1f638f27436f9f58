"""What models learn, measured: quality, time, new items, interests, feedback."""
