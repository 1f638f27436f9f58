"""Files of items: read into a table, by the rules of the topic, and written."""
