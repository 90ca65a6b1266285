"""Floor 2: PostgreSQL and what is kept in it."""
