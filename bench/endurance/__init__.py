"""What a day of clicks is made of, and what it leaves of memory and disk."""
