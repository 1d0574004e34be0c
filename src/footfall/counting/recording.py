"""What is done with a view once intake has classified it: dropped, or counted, with the page that it opened noted.

Every face that counts one view at a time records it here: /count, the pixel, the home page, badges and the middlewares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from footfall.counting.counter import Counter
from footfall.errors import NotAcknowledged
from footfall.intake.request import Intake
from footfall.model import Drop, Outcome, Settled, View


class Recorder:
    """Counts what `intake` let through, with `counter`. `headers` and `peer` are of the request that a view came with."""

    def __init__(self, intake: Intake, counter: Counter) -> None:
        self._intake = intake
        self._counter = counter

    async def record(
        self, classified: View | Drop, headers: Mapping[bytes, bytes], peer: str, *, wanted: bool = False
    ) -> Settled | Drop:
        """What became of a view; with its page's counts where they are `wanted`.

        Raises NotAcknowledged where the store did not confirm it, Overloaded or Draining where it was not taken.
        """
        if isinstance(classified, Drop):
            self._counter.dropped(classified)
            return classified
        settled = await self._counter.count(classified, wanted=wanted)
        if settled.opened:
            self._intake.note_opened(classified.site, headers, peer)
        return settled

    def submit(
        self,
        classified: View | Drop,
        headers: Mapping[bytes, bytes],
        peer: str,
        tell: Callable[[Settled | Drop | NotAcknowledged], object],
    ) -> None:
        """The same without a task for each view: `tell` is called with what became of it, now or after its commit."""
        if isinstance(classified, Drop):
            self._counter.dropped(classified)
            tell(classified)
            return

        def settle(result: Settled | NotAcknowledged) -> None:
            if isinstance(result, Settled) and result.opened:
                self._intake.note_opened(classified.site, headers, peer)
            tell(result)

        self._counter.submit(classified, settle)


def outcome_of(result: Settled | Drop) -> Outcome | Drop:
    """What replies say of a view that was recorded."""
    return result if isinstance(result, Drop) else result.outcome
