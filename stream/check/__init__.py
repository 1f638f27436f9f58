"""`nextclick check`: what is wrong with a cluster and what belongs to it, said before a worker starts."""
