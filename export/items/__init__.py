"""What a shop says about its items: one item, the table of all of them, and the table aligned with a model."""
