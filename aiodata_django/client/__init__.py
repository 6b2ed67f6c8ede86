"""The network client: async and sync, over HTTP and websocket. Knows neither Django nor psycopg."""
