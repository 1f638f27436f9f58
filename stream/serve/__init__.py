"""The read API: newest lists, updates of them and similar items over HTTP, and clicks the other way."""
