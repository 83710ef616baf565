"""Training: data, losses, loop. ``python -m ftforensics.train --help``."""
