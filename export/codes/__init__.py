"""Item tables of catalogues too large for a row each: a few codes an item, and books of what they stand for."""
