"""The keys of the program: signing keys, carrier keys, signer commands and the folder that holds them.

Everything the other rooms need of keys is named here; the modules behind it hold one kind of key each.
"""

from __future__ import annotations

from ftforensics.trust.carrier_key import CarrierKey
from ftforensics.trust.command_signer import CommandSigner
from ftforensics.trust.key_folder import KeyEntry, KeyFolder
from ftforensics.trust.public_key import fingerprint, parse_public_key, public_key_pem, verify_signature
from ftforensics.trust.signing_key import KeyRole, Signer, SigningKey

__all__ = [
    "CarrierKey",
    "CommandSigner",
    "KeyEntry",
    "KeyFolder",
    "KeyRole",
    "Signer",
    "SigningKey",
    "fingerprint",
    "parse_public_key",
    "public_key_pem",
    "verify_signature",
]
