"""What is done with a view once intake has classified it: dropped, or counted, within what its address may bring of new pages.

Every face that counts one view at a time records it here: /count, the pixel, the home page, badges and the middlewares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from footfall.counting.counter import Counter
from footfall.errors import NotAcknowledged
from footfall.intake.limits import Claim
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
        view, claim = self._claimed(classified, headers, peer)
        settled: Settled | None = None
        try:
            settled = await self._counter.count(view, wanted=wanted)
        finally:
            if claim is not None or (settled is not None and settled.opened):
                self._intake.settle(view, claim, settled, headers, peer)
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

        view, claim = self._claimed(classified, headers, peer)

        def settle(result: Settled | NotAcknowledged) -> None:
            settled = result if isinstance(result, Settled) else None
            if claim is not None or (settled is not None and settled.opened):
                self._intake.settle(view, claim, settled, headers, peer)
            tell(result)

        self._counter.submit(view, settle)

    def _claimed(self, view: View, headers: Mapping[bytes, bytes], peer: str) -> tuple[View, Claim | None]:
        claim = self._intake.claim(view, headers, peer)
        if claim is not None and not claim.is_granted:
            view = msgspec.structs.replace(view, may_open=False)
        return view, claim


def outcome_of(result: Settled | Drop) -> Outcome | Drop:
    """What replies say of a view that was recorded."""
    return result if isinstance(result, Drop) else result.outcome
