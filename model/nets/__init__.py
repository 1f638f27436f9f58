"""What computes a session's vector: the encoders and their parts."""
