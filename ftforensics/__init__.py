"""Forensic toolkit that traces deepfakes back to the photographs they were made from."""

__version__ = "0.1.0"
