"""The change stream as data: pgoutput bytes to messages to transactions."""
