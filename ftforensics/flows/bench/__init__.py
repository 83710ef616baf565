"""Measurements of the program itself: robustness, false positives, quality and speed, each as tables in one file."""
