"""Pixels: colour axes, resampling, perceptual mask, geometry and quality metrics.

A picture is ``uint8 (H, W, 3)`` sRGB, display-oriented, unless a docstring says otherwise.
"""
