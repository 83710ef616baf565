"""The command ``ftf``: options in, tables and sentences out; the only room that prints or reads the environment."""
