"""The admin's pages for the built models."""
