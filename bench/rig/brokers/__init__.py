"""Brokers for the tests: whichever Kafka this machine can have, behind one interface (see `choose`)."""
