"""What making lists costs, measured: by policy, of similar items, from codes."""
