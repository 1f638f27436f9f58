"""One reader a format: a file's lines as columns, nothing judged yet."""
