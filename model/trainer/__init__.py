"""The trainer: a service that turns clicks into versions by itself. Kafka is reached through what `cli` hands in."""
