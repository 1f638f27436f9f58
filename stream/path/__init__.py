"""The way of a batch: waiting, decoded, folded, ranked, published, acknowledged."""
