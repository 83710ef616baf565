"""From a verified case to the documents people and programs read: HTML, JSON and CSV."""
