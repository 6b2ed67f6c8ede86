"""The tests, arranged like the package they prove."""
