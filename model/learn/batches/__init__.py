"""What each step of a training sees: its sessions, packed, and what they are compared with."""
