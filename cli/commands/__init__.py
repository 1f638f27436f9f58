"""The commands, a module a group of them: each parses, fills a config and calls one function of a part."""
