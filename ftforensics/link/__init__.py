"""Lines a suspect up with its source, measures what changed and what is left of the tag, and judges."""
