"""Hypotheses against the registries: the accepted matches of each, and words decoded without a registry.

Every match's E-value counts all records of all keys, every picture of the case, and the hypothesis as often as the
picture's whole budget makes it count (docs/adr/0006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftforensics.codec import channel, matching
from ftforensics.codec.blind import decode_blind
from ftforensics.domain.tag import LINK_E_LIMIT, DecodedTag, MatchedTag
from ftforensics.engine.ring import Book
from ftforensics.engine.search_budget import SearchBudget
from ftforensics.engine.tries import Floats, Nominee, Try


class Matcher:
    """Matches hypotheses with the books of a ring.

    Args:
        books: One a carrier key.
        pictures: In the case.
        budget: What may be matched for one picture.
    """

    def __init__(self, books: Sequence[Book], *, pictures: int, budget: SearchBudget) -> None:
        self._books = books
        self._pictures, self._budget = pictures, budget
        self._records = sum(book.ids.size for book in books)

    def match(self, tried: Try) -> list[MatchedTag]:
        """The accepted match under every key, strongest first."""
        accepted = [tag for book in self._books if (tag := self._match_book(tried, book)) is not None]
        return sorted(accepted, key=lambda tag: (-tag.z, tag.carrier_key_id))

    def _match_book(self, tried: Try, book: Book) -> MatchedTag | None:
        soft = tried.soft_bits(book)
        found = matching.match(soft, book.words)
        tried.best_z = max(0.0 if found is None else found.z, 0.0 if tried.best_z is None else tried.best_z)
        if found is None:
            return None
        tag_id = f"{int(book.ids[found.index]):016x}"
        if tried.nominee is None or found.z > tried.nominee.z:
            tried.nominee = Nominee(tag_id=tag_id, carrier_key_id=book.key.key_id, z=found.z, frame=tried.frame)
        # Each record is compared under its own key alone, so all records of all keys are all comparisons made.
        hypotheses = self._budget.counts(tried.mode)
        counted = {"records": self._records, "carrier_keys": 1, "hypotheses": hypotheses}
        e_value = matching.e_value(soft, found.z, **counted)
        if e_value * self._pictures > LINK_E_LIMIT:
            return None
        corrected, erasures = _corrections(soft, book, tag_id)
        return MatchedTag(
            tag_id=tag_id,
            carrier_key_id=book.key.key_id,
            z=found.z,
            runner_up_z=found.runner_up_z if np.isfinite(found.runner_up_z) else 0.0,
            e_value=e_value,
            e_case=e_value * self._pictures,
            records=self._records,
            hypotheses=hypotheses,
            bit_agreement=found.bit_agreement,
            symbols_corrected=corrected,
            erasures=erasures,
            geometry=tried.geometry,
            runner_up_e_case=matching.e_value(soft, found.runner_up_z, **counted) * self._pictures,
        )

    def decode(self, tried: Try) -> DecodedTag | None:
        """A word that decodes under a key without a registry, within the bound on false accepts; or None."""
        trials = self._pictures * max(1, len(self._books)) * self._budget.counts(tried.mode)
        for book in self._books:
            found = decode_blind(tried.soft_bits(book), book.key.channel, trials=trials)
            # A registered id that did not match well enough must not be called unregistered.
            if found is not None and not _is_registered(found.word.tag_id, book):
                return DecodedTag(
                    tag_id=found.word.tag_id,
                    carrier_key_id=book.key.key_id,
                    symbols_corrected=found.word.symbols_corrected,
                    erasures=0,
                    false_accept_p=found.false_accept_p,
                    geometry=tried.geometry,
                    z=found.word.z,
                    runner_up_z=found.runner_up_z,
                )
        return None


def _is_registered(tag_id: str, book: Book) -> bool:
    return bool(np.any(book.ids == np.uint64(int(tag_id, 16))))


def _corrections(soft: Floats, book: Book, tag_id: str) -> tuple[int | None, int | None]:
    """Symbols corrected and erasures with which Reed-Solomon alone reaches the matched id, or (None, None)."""
    for erasures in (0, 2, 4, 6):
        correction = channel.decode(soft, book.key.channel, erasures)
        if correction is not None and correction.tag_id == tag_id:
            return correction.symbols_corrected, erasures
    return None, None
