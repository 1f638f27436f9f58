"""Items on their topic: followed into a table, read once, and written."""
