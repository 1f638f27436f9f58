"""What stands beside workers: trainer, scoreboard, read API, clients, alerts."""
