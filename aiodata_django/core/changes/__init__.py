"""What PostgreSQL's logical replication says: messages, transactions, and values as JSON. No sockets here."""
