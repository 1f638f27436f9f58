"""What a shop wants of its lists: what is never shown, what is shown more, where, and how much of the same."""
