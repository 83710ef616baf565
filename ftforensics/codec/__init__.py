"""From soft values to bits to payload, and back: carriers, channel code, matching. NumPy and reedsolo only."""
