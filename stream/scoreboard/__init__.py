"""The scoreboard: lists joined with the clicks that follow them, from the topics alone, and counted by variant."""
