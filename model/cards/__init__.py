"""The card of a model: what it learned, how good it is beside what, and what its figures do not say."""
