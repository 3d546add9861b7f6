"""Which dead letters a command is about: all of them, or those that were named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenaudit.cli.audit_dlq_file import no_letter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tenaudit.audit.consumer import DeadLetter, DeadLetterStore

__all__ = ["all_letters", "named_letters"]

_PAGE = 100


async def all_letters(letters: DeadLetterStore) -> AsyncIterator[DeadLetter]:
    """Give out every letter in order; those given out may be deleted meanwhile."""
    page = await letters.page(limit=_PAGE)
    while page:
        for letter in page:
            yield letter
        page = await letters.page(limit=_PAGE, after=page[-1].id)


async def named_letters(letters: DeadLetterStore, letter_ids: Sequence[int]) -> AsyncIterator[DeadLetter]:
    """Give out the letters of these ids, each once, none of them unless all are there.

    Raises:
        ConfigurationError: one is not there.
    """
    found = []
    for letter_id in dict.fromkeys(letter_ids):
        letter = await letters.get(letter_id)
        if letter is None:
            raise no_letter(letter_id)
        found.append(letter)
    for letter in found:
        yield letter
