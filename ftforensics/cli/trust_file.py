"""The user's trust list on disk. In: settings, and a signer if the list is to be signed. Out: the list.

A signed list must be signed by one of the examiner keys in the key folder, and is only changed under a signature.
"""

from __future__ import annotations

from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import list_keys
from ftforensics.errors import SignatureInvalid, WriteFailed
from ftforensics.trust.envelope import parse_envelope
from ftforensics.trust.keys import Signer
from ftforensics.trust.private_file import load_bounded
from ftforensics.trust.trustlist import TrustList, load_trust_list, save_trust_list

_ENVELOPE_START = b'{"payload":'


def load_trust(settings: Settings) -> TrustList:
    """Load the trust list; an empty one, version 0, where there is none yet.

    ``signed_by`` of the list is the fingerprint of the examiner key that signed it, None where it is not signed.

    Raises:
        SignatureInvalid: It is signed, and by no examiner key of this folder, or wrongly.
        TrustError: It is malformed.

    Without a signature it does not establish who wrote the list.
    """
    path = settings.trust_list_path
    if not path.exists() and not path.is_symlink():
        return TrustList()
    data = load_bounded(path, what="trust list")
    if not data.startswith(_ENVELOPE_START):
        return load_trust_list(path)
    key_id = parse_envelope(data, subject=str(path)).key_id
    keys = {key.key_id: key.public_key for key in list_keys(settings.keys_folder)[0] if key.role == "examiner"}
    public_key = keys.get(key_id)
    if public_key is None:
        raise SignatureInvalid(
            f"trust list is signed with {key_id}, which is none of your examiner keys",
            subject=str(path),
            remedy="see 'ftf key list', and find out who put the list there",
        )
    return load_trust_list(path, public_key=public_key)


def save_trust(settings: Settings, trust: TrustList, signer: Signer | None) -> None:
    """Write the trust list, replacing the file whole.

    Raises:
        TrustError: The signer failed.
        WriteFailed: Disk full, or not permitted; the old list is untouched.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise WriteFailed(
            f"cannot make the folder ({exc.strerror})", subject=str(settings.home), remedy="check its permissions"
        ) from exc
    save_trust_list(settings.trust_list_path, trust, signer)
