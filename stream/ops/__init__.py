"""What an operator sees and holds: metrics, health, the watchdog, the supervisor."""
