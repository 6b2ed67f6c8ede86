"""The home of the built models: ``tables.build`` puts them here, and nothing is written by hand."""
