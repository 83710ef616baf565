"""Whose engine plans may run on this machine. In: settings, and what ``--signer`` said. Out: fingerprints.

A plan runs code, so this asks for more than a record does: one's own examiner keys count, and keys that were pinned
for just this with ``ftf trust add engine-plans FINGERPRINT``. An issuer trusted for photographs may run nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import list_keys
from ftforensics.cli.trust_file import load_trust
from ftforensics.errors import KeyRevoked
from ftforensics.trust.trustlist import PLAN_SIGNERS, TrustList


def pinned_plan_signers(settings: Settings, only: Sequence[str] | None = None) -> frozenset[str]:
    """The fingerprints of keys whose plans may be loaded now.

    Args:
        settings: Where keys and trust list are, and what time it is.
        only: Of ``--signer``: these and no others.

    Returns:
        ``only``, or else the examiner keys of the key folder and those pinned for ``engine-plans``, none revoked.

    Raises:
        KeyRevoked: One that ``only`` names was revoked.
        SignatureInvalid, TrustError: The trust list cannot be relied on.

    Does not establish who holds the keys.
    """
    trust = load_trust(settings)
    now = settings.now_utc()
    if only:
        for fingerprint in only:
            trust.check_revocation(fingerprint, checked_at=now, trusted_time=None)
        return frozenset(only)
    own = {key.key_id for key in list_keys(settings.keys_folder)[0] if key.role == "examiner"}
    pinned = {pin.fingerprint for pin in trust.pins if pin.issuer == PLAN_SIGNERS and pin.covers(now)}
    return frozenset(fingerprint for fingerprint in own | pinned if not _is_revoked(trust, fingerprint, now))


def _is_revoked(trust: TrustList, fingerprint: str, now: str) -> bool:
    try:
        trust.check_revocation(fingerprint, checked_at=now, trusted_time=None)
    except KeyRevoked:
        return True
    return False
