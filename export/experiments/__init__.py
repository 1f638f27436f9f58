"""Experiments: who is shown which model, whose list is better, and how sure that is; shared by worker and replay."""
