"""What a batch costs the model and its gradient: scores, objectives, extra negatives, several interests."""
