"""Engine plans: a model compiled for GPUs, its signed manifest, and the folder they lie in.

A plan is code: whoever loads one runs it. So ``verified.load_verified_plan`` is the only door to a plan's bytes, and it
opens after the manifest's signature, the signer and the plan's hash were checked. Decision: docs/adr/0007.
"""
