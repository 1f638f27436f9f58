"""Plain Kafka: clients and their options, topics, sending a log, watching lists."""
