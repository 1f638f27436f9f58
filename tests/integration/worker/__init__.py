"""What a worker does with clicks, items, models and experiments while nothing fails, or it is killed."""
