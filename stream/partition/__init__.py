"""All that lives and dies with an owned partition: its sessions, positions, changelog, and what becomes of them."""
