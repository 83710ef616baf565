"""Manipulations of whole batches where the batch lies, so that training on a GPU never waits for a processor.

They follow ``ftforensics.attacks``, which measures and which runs picture by picture; what differs is said where it
does. Pictures are ``float32 (B, 3, S, S)`` in [0, 1] with whole 8-bit levels, S a multiple of 16.
"""
