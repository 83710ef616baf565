"""Registry and cases on disk: append-only SQLite databases whose contents can be verified offline."""
