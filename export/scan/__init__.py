"""Exact lists of a catalogue whose items are codes: the best sums, without a product over the items."""
