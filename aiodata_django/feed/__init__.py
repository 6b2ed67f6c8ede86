"""The change feed: commit to log to audience to socket. Never Django."""
