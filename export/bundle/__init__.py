"""A trained model as a folder: graph, vocabulary, manifest, and the hash of everything in it."""
