"""What a trainer keeps over its restarts: the clicks of the topic, the items, and its journal."""
