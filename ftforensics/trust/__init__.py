"""Keys, canonical bytes, signed envelopes and records, the trust list, the ledger and the custody chain."""
