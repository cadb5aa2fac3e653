"""A clinic that lives through a year in a minute: its world, what its ladder promises, and the days as they pass."""
