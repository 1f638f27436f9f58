"""What tests and benchmarks stand on: brokers, clients, worker processes, and an oracle."""
