"""NVIDIA GPUs: is there a driver, slots and queues that keep a device busy, and the devices themselves."""
