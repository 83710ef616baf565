"""Manipulations of pictures: pure functions on pixels with a strength and a generator.

Each takes and returns ``uint8 (H, W, 3)`` sRGB. Those that replace pixels also say where: ``float32 (H, W)``, 0 to 1.
"""
