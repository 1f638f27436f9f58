"""What a training tells while it runs and when it is done."""
