"""The interface of an exported graph: the names that trainer and worker agree on."""

__all__ = ["INPUTS", "OUTPUTS"]

INPUTS = ("ids", "exclude")  # int32 (B, L) right-padded with 0, newest last; int32 (B, E >= 1) padded with 0
OUTPUTS = ("top_ids", "top_scores")  # int32 (B, K), best first, 0 where no item is left; float32 (B, K)
