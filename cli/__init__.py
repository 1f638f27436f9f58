"""The command line: its commands, the options that several of them share, and what they print."""
