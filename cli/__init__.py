"""The command line: a module for each part's commands, and the options that several of them share."""
