"""What is promised when a worker dies: at least once or exactly once, each with its publisher."""
