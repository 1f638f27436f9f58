"""The commands of who trains and measures models."""
