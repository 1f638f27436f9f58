"""Every performance claim of the README as a command: `python -m bench.NAME [--json]`."""
