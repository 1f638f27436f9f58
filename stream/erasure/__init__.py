"""A session is to be forgotten: asking for it, and what each part says that it has erased."""
