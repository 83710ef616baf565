"""SQL files, numbered; each is one step of one database's schema and is never changed once released."""
