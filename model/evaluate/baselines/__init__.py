"""What every model is measured beside: popularity, counts of what follows what, nearest sessions."""
