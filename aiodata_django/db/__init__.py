"""The PostgreSQL shell: pools, catalogue, replication. Never Django."""
