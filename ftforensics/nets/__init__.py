"""Torch modules only: the residual reader, its input gradient, and the GAN simulator."""
