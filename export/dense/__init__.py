"""Exact lists of a catalogue whose items are vectors: most of them dismissed by products of bytes and a bound."""
