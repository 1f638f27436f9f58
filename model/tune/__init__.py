"""The search for a preset: trials of settings on one log, resumable, the poor ones ended early."""
