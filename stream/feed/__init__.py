"""Kafka as the trainer sees it: the clicks as columns, which trainer leads, and the announcement of what it made."""
