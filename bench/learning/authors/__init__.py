"""The papers' own code, run beside ours."""
