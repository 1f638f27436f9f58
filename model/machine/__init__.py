"""What a training takes of its machine: threads and memory."""
