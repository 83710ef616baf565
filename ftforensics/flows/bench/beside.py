"""The previews that a measurement's registry keeps: of the pictures of the set, each under its own tag.

A real registry keeps one for every record. Of random records there are none, so a read never pays for looking at a
wrong one; that a wrong one is not believed does not depend on how many there are, since each is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ftforensics.domain.link import Registration
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.tries import Nominee
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.recall import find_frame
from ftforensics.imaging.resample import Pixels
from ftforensics.link import fingerprint, register

_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    preview: Pixels
    descriptors: bytes


class Previews:
    """Sources by tag id.

    Args:
        key_id: The carrier key that all are tagged under.
        paths: The photographs by tag id.
    """

    def __init__(self, key_id: str, paths: Mapping[str, Path]) -> None:
        self._key_id, self._paths = key_id, paths
        self._source = lru_cache(maxsize=_KEPT)(self._make)

    def _make(self, tag_id: str) -> _Source:
        """As a record keeps it.

        Raises:
            EvidenceUnreadable: The photograph changed since it was listed.
        """
        print_ = fingerprint.build(load_exhibit(self._paths[tag_id]))
        return _Source(preview=fingerprint.decode_preview(print_.preview), descriptors=print_.descriptors)

    def recall(self, picture: Pixels) -> Callable[[Sequence[Nominee]], Iterable[KnownSource]]:
        """What ``TagReader.identify`` asks for: sources of nominated records that lie in the picture."""
        return partial(self._recall, picture)

    def _recall(self, picture: Pixels, nominees: Sequence[Nominee]) -> Iterator[KnownSource]:
        for nominee in nominees:
            if nominee.tag_id not in self._paths or nominee.carrier_key_id != self._key_id:
                continue
            source = self._source(nominee.tag_id)
            frame = find_frame(picture, source.preview, nominee.frame, partial(_register, picture, source))
            if frame is not None:
                yield KnownSource(
                    tag_id=nominee.tag_id, carrier_key_id=self._key_id, preview=source.preview, frame=frame
                )


def _register(picture: Pixels, source: _Source) -> Registration | None:
    return register.register(picture, source.preview, source.descriptors)
