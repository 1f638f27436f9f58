"""Black-box tests: real worker processes between a Kafka broker and the tests' own clients."""
