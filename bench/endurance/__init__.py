"""Whether memory and disk stay flat: a worker under ever new sessions, a day's clicks, a real log's last day."""
