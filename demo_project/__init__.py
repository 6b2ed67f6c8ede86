"""The demo: a Django project with one table of pets, and the quickstart client that plays with it."""
