"""Columns as they stand in a file, judged: ids, times and kinds."""
