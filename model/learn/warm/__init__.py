"""A training that begins with what an earlier one learned: rows and layers, codes, and the optimizer's moments."""
