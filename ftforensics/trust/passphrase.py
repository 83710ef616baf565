"""From a passphrase to encryption keys. In: passphrase text. Out: bytes from scrypt, or PKCS#8 locked with it.

The cryptography package writes locked PKCS#8 with 2,048 rounds of PBKDF2, which a graphics card guesses through at
leisure; the same standard allows scrypt, which it and OpenSSL both read, so that one structure is written out here.
OpenSSL refuses scrypt above 32 MiB, hence several passes (p = 5) over less memory.
Source: RFC 7914 (scrypt, and its use in PKCS#5), RFC 8018 (PBES2), RFC 5958 (EncryptedPrivateKeyInfo).
"""

from __future__ import annotations

import base64
import hashlib
import os
import unicodedata

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ftforensics.errors import KeyLocked, TrustError

SCRYPT_N = 2**14
SCRYPT_R = 8
SCRYPT_P = 5
SALT_BYTES = 16
_BODY_BYTES = 64
_AES_BLOCK_BITS = 128

_SEQUENCE, _INTEGER, _OCTET_STRING, _OBJECT_ID = 0x30, 0x02, 0x04, 0x06
_OID_PBES2 = bytes.fromhex("2a864886f70d01050d")
_OID_SCRYPT = bytes.fromhex("2b06010401da47040b")
_OID_AES256_CBC = bytes.fromhex("60864801650304012a")


def passphrase_bytes(passphrase: str) -> bytes:
    """The passphrase in UTF-8 after NFC, so that two keyboards that type the same accent open the same key.

    Raises:
        KeyLocked: The passphrase is empty or not text that UTF-8 can carry.
    """
    if not passphrase:
        raise KeyLocked("the passphrase is empty", remedy="give a passphrase of at least one character")
    try:
        return unicodedata.normalize("NFC", passphrase).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise KeyLocked("the passphrase is not valid text", remedy="type it again") from exc


def stretch(passphrase: str, salt: bytes, length_bytes: int) -> bytes:
    """Derive ``length_bytes`` of key from a passphrase with scrypt (n = 2^14, r = 8, p = 5: 16 MiB, about 0.2 s).

    Raises:
        KeyLocked: The passphrase is empty or malformed.
    """
    return hashlib.scrypt(
        passphrase_bytes(passphrase),
        salt=salt,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=128 * SCRYPT_N * SCRYPT_R * 2,
        dklen=length_bytes,
    )


def lock_pkcs8(private_key_info: bytes, passphrase: str) -> bytes:
    """Encrypt the PKCS#8 PrivateKeyInfo (DER, 48 bytes) of an Ed25519 key under a passphrase.

    Returns:
        PEM of an EncryptedPrivateKeyInfo: PBES2 with scrypt and AES-256-CBC, as ``openssl pkcs8 -scrypt`` writes it.

    Raises:
        KeyLocked: The passphrase is empty or malformed.
    """
    salt, initial = os.urandom(SALT_BYTES), os.urandom(SALT_BYTES)
    padder = padding.PKCS7(_AES_BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES256(stretch(passphrase, salt, 32)), modes.CBC(initial)).encryptor()
    body = encryptor.update(padder.update(private_key_info) + padder.finalize()) + encryptor.finalize()
    return _write_pem(_encrypted_key_der(salt, initial, body))


def unlock_pkcs8(pem: bytes, passphrase: str) -> bytes:
    """Decrypt what ``lock_pkcs8`` wrote, byte for byte; the cost of it is never the file's to choose.

    Returns:
        The decrypted bytes: the DER of a PrivateKeyInfo if the passphrase was right, noise once in 256 times if not.

    Raises:
        KeyLocked: The passphrase is wrong, empty or malformed.
        TrustError: The PEM is not of the one form that ``lock_pkcs8`` writes.
    """
    try:
        der = base64.b64decode(b"".join(pem.split(b"\n")[1:-2]), validate=True)
    except ValueError:
        der = b""
    salt, initial, body = (der[part] for part in (_SALT_PART, _INITIAL_PART, _BODY_PART))
    if len(der) != _BODY_PART.stop or _write_pem(_encrypted_key_der(salt, initial, body)) != pem:
        raise TrustError("locked key is damaged or was locked by another program")
    decryptor = Cipher(algorithms.AES256(stretch(passphrase, salt, 32)), modes.CBC(initial)).decryptor()
    padded = decryptor.update(body) + decryptor.finalize()
    unpadder = padding.PKCS7(_AES_BLOCK_BITS).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as exc:
        raise KeyLocked("wrong passphrase, or the key is damaged", remedy="try again") from exc


def _write_pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""])


def _encrypted_key_der(salt: bytes, initial: bytes, body: bytes) -> bytes:
    costs = _der_int(SCRYPT_N) + _der_int(SCRYPT_R) + _der_int(SCRYPT_P)
    stretching = _der(_SEQUENCE, _der(_OBJECT_ID, _OID_SCRYPT) + _der(_SEQUENCE, _der(_OCTET_STRING, salt) + costs))
    cipher = _der(_SEQUENCE, _der(_OBJECT_ID, _OID_AES256_CBC) + _der(_OCTET_STRING, initial))
    scheme = _der(_SEQUENCE, _der(_OBJECT_ID, _OID_PBES2) + _der(_SEQUENCE, stretching + cipher))
    return _der(_SEQUENCE, scheme + _der(_OCTET_STRING, body))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + content


def _der_int(number: int) -> bytes:
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _find_part(size_bytes: int, which: int) -> slice:
    parts = [b"\xaa" * SALT_BYTES, b"\xbb" * SALT_BYTES, b"\xcc" * _BODY_BYTES]
    start = _encrypted_key_der(parts[0], parts[1], parts[2]).index(parts[which])
    return slice(start, start + size_bytes)


_SALT_PART, _INITIAL_PART, _BODY_PART = (
    _find_part(SALT_BYTES, 0),
    _find_part(SALT_BYTES, 1),
    _find_part(_BODY_BYTES, 2),
)
