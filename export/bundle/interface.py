"""The interface of an exported graph: the names that trainer and worker agree on."""

__all__ = ["INPUTS", "OUTPUTS"]

# int32 (B, L) right-padded with 0, newest last; int32 (B, E >= 1) padded with 0; int64 () = K, 1 to V
INPUTS = ("ids", "exclude", "k")
OUTPUTS = ("top_ids", "top_scores")  # int32 (B, K), best first, 0 where no item is left; float32 (B, K)
