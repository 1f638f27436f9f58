"""What single parts cost a worker: ranking, formats, a table of items, a trainer beside it; and what a load takes."""
