"""Manipulations of pictures: pure functions on pixels with a strength and a generator.

Each takes and returns ``uint8 (H, W, 3)`` sRGB. Those that replace pixels also return where, as ``float32 (H, W)`` in [0, 1].
"""
