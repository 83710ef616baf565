"""Files become evidence: walking, sniffing, hashing, and decoding in isolated workers; and photographs for tagging."""
