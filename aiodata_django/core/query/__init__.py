"""PostgREST's query language as pure functions: grammar → request → plan → SQL → response."""
