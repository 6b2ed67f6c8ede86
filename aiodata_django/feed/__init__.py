"""The change feed: WAL -> log -> audience -> socket. Knows PostgreSQL and asyncio, knows no Django."""
