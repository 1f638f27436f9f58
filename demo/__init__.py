"""The demo: a simulated shop, its shoppers, and nextclick at work on their clicks, all on one machine."""
