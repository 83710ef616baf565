"""The channel code: 64-bit tag id to 128 channel bits and back.

Reed-Solomon RS(16, 8) over GF(2^8) (Reed and Solomon, 1960; ``reedsolo``, primitive polynomial 0x11d, first root 0),
then a bit interleaver and a 128-bit mask, both derived from the carrier key. The mask makes every code word uniform to
anyone without the key, which is what the false-accept bounds rest on; the interleaver spreads a symbol's bits over
unrelated carriers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import reedsolo
from numpy.typing import NDArray

from ftforensics.errors import CodecError

ID_BYTES = 8
PARITY_BYTES = 8
WORD_BYTES = ID_BYTES + PARITY_BYTES
WORD_BITS = 8 * WORD_BYTES

Bits = NDArray[np.uint8]
Floats = NDArray[np.float32]


@lru_cache(maxsize=1)
def _coder() -> reedsolo.RSCodec:
    return reedsolo.RSCodec(PARITY_BYTES, nsize=255)


def parse_tag_id(tag_id: str) -> bytes:
    """The 8 bytes of a 16-digit lower-case hex tag id.

    Raises:
        CodecError: It is not one.
    """
    if len(tag_id) != 2 * ID_BYTES or any(digit not in "0123456789abcdef" for digit in tag_id):
        raise CodecError("a tag id is 16 lower-case hex digits", subject=repr(tag_id))
    return bytes.fromhex(tag_id)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """Mask (128 bits) and interleaver (a permutation of 128) of one carrier key."""

    mask: Bits
    order: NDArray[np.intp]


def build_channel_key(secret: bytes) -> ChannelKey:
    """Mask and interleaver from a carrier key's derived secret, by SHAKE-256 (FIPS 202)."""
    mask = np.unpackbits(np.frombuffer(hashlib.shake_256(b"ftf-mask-v1\0" + secret).digest(WORD_BYTES), dtype=np.uint8))
    ranks = np.frombuffer(hashlib.shake_256(b"ftf-order-v1\0" + secret).digest(8 * WORD_BITS), dtype=">u8")
    return ChannelKey(mask=mask, order=np.argsort(ranks, kind="stable"))


def encode_word(tag_id: str) -> Bits:
    """Reed-Solomon word of a tag id as 128 bits, before mask and interleaver."""
    return np.unpackbits(np.frombuffer(bytes(_coder().encode(parse_tag_id(tag_id))), dtype=np.uint8))


def encode(tag_id: str, key: ChannelKey) -> Floats:
    """Channel signs (128,) in {-1, +1} of a tag id under a carrier key."""
    bits = (encode_word(tag_id) ^ key.mask)[key.order]
    return bits.astype(np.float32) * 2.0 - 1.0


@lru_cache(maxsize=1)
def generator() -> Bits:
    """Words (64, 128) of every single-bit id, before mask and interleaver.

    Reed-Solomon is linear over GF(2), so the word of any id is the sum of these.
    """
    ids = np.packbits(np.eye(8 * ID_BYTES, dtype=np.uint8), axis=1)
    return np.stack([encode_word(row.tobytes().hex()) for row in ids])


def encode_many(tag_ids: NDArray[np.uint64], key: ChannelKey) -> NDArray[np.int8]:
    """Channel signs (N, 128) as int8 of many ids at once; the same as ``encode`` of each."""
    data = np.unpackbits(tag_ids.astype(">u8").view(np.uint8).reshape(-1, ID_BYTES), axis=1)
    to_parity = generator()[:, 8 * ID_BYTES :].astype(np.float32)
    parity = (data.astype(np.float32) @ to_parity).astype(np.uint8) & 1
    bits = (np.concatenate([data, parity], axis=1) ^ key.mask)[:, key.order]
    return bits.astype(np.int8) * 2 - 1


@dataclass(frozen=True, slots=True)
class Correction:
    """What Reed-Solomon made of soft bits; ``errors`` are the corrected symbols that were not erased."""

    tag_id: str
    symbols_corrected: int
    errors: int
    erasures: int


def unmask(soft: Floats, key: ChannelKey) -> tuple[Bits, NDArray[np.float64]]:
    """The hard bits (128,) of soft bits as the code has them, and their magnitudes (128,), both in the word's order."""
    natural = np.empty(WORD_BITS, dtype=np.float64)
    natural[key.order] = soft
    # The mask is laid on the hard bits, not on the signs: a soft bit of exactly zero is then random under the mask too.
    return (natural > 0).astype(np.uint8) ^ key.mask.astype(np.uint8), np.abs(natural)


def _to_symbols(soft: Floats, key: ChannelKey) -> tuple[bytes, NDArray[np.float64]]:
    """Hard symbols (16 bytes) and the reliability of each: its least reliable bit."""
    bits, magnitudes = unmask(soft, key)
    reliability = magnitudes.reshape(WORD_BYTES, 8).min(axis=1)
    return np.packbits(bits).tobytes(), reliability


def read_message(soft: Floats, key: ChannelKey) -> bytes:
    """The 8 bytes of an id as soft bits (128,) have them, uncorrected."""
    return _to_symbols(soft, key)[0][:ID_BYTES]


def decode(soft: Floats, key: ChannelKey, erasures: int) -> Correction | None:
    """Decode soft bits (128,) with the ``erasures`` least reliable symbols erased; None where no word is in reach."""
    symbols, reliability = _to_symbols(soft, key)
    erased = sorted(int(index) for index in np.argsort(reliability, kind="stable")[:erasures])
    try:
        message, word, _ = _coder().decode(symbols, erase_pos=erased or None)
    except (reedsolo.ReedSolomonError, ZeroDivisionError):
        return None
    changed = {at for at, pair in enumerate(zip(bytes(word), symbols, strict=True)) if pair[0] != pair[1]}
    errors = len(changed.difference(erased))
    if 2 * errors + erasures > PARITY_BYTES:
        # Out of the code's reach, where several words fit equally well: reedsolo picks one with odd erasures.
        return None
    return Correction(tag_id=bytes(message).hex(), symbols_corrected=len(changed), errors=errors, erasures=erasures)
