"""Whose a line is, and what an import shows and writes of it; on every store."""

from __future__ import annotations

import io

import pytest

from footfall.errors import BadInput
from footfall.importing import DryRun, import_log
from footfall.model import DropReason
from footfall.stores import Store
from tests.contract.conftest import OTHER_SITE, SITE
from tests.contract.importing.test_importer import JUDGE, imported, logged, total
from tests.unit.importing.logs_given import judge_of


async def test_lines_go_to_the_sites_that_they_name(store: Store) -> None:
    """A log of two sites counts for both, each line once, however often it is imported; a third host is nobody's."""
    log = b"example.com:443 " + logged() + (b"EXAMPLE.org " + logged(page="/b")) * 2 + b"example.net " + logged(page="/c")
    judge = judge_of(None, SITE, OTHER_SITE)
    summary = await import_log(io.BytesIO(log), store, judge)
    assert summary.sites == {SITE: 1, OTHER_SITE: 2}
    assert summary.dropped == {DropReason.UNKNOWN_SITE: 1}
    assert (await import_log(io.BytesIO(log), store, judge)).already == 4
    assert (await total(store, "/a"), await total(store, "/b", OTHER_SITE), await total(store)) == (1, 2, 1)


async def test_a_site_that_was_added_counts_its_lines_of_a_log_imported_before(store: Store) -> None:
    """The lines of the others are not counted again."""
    log = b"example.com " + logged() + b"example.org " + logged(page="/b")
    await import_log(io.BytesIO(log), store, judge_of(None, SITE))
    summary = await import_log(io.BytesIO(log), store, judge_of(None, SITE, OTHER_SITE))
    assert (summary.already, summary.sites) == (1, {OTHER_SITE: 1})


async def test_lines_that_name_no_known_site_go_to_the_one_that_was_given(store: Store) -> None:
    """Whether they name another, or none."""
    log = b"www.example.com " + logged() + b"example.org " + logged(page="/b")
    summary = await import_log(io.BytesIO(log), store, judge_of(SITE, OTHER_SITE))
    assert summary.sites == {SITE: 1, OTHER_SITE: 1}


async def test_a_log_that_names_no_host_needs_a_site(store: Store) -> None:
    """The error says so, and nothing is counted."""
    with pytest.raises(BadInput, match=r"^site: the format of the log \(combined\) names no host; say whose log it is"):
        await import_log(io.BytesIO(logged()), store, judge_of(None, SITE))
    assert await total(store) == 0


async def test_a_dry_run_writes_nothing(store: Store) -> None:
    """It finds what an import would, and leaves out what an import has dealt with."""
    await imported(store, logged())
    dry = await import_log(io.BytesIO(logged() + logged(page="/b")), DryRun(store), JUDGE)
    assert (dry.already, dry.counted) == (1, 1)
    assert await total(store) == 1
    assert (await imported(store, logged() + logged(page="/b"))).counted == 1


async def test_samples_of_unreadable_lines_hold_no_address(store: Store) -> None:
    """Three at most, and their beginnings; addresses are blotted out, which a time is not."""
    lines = [b"192.0.2.77 - - [17/May/2015:10:05:03", b"x 2001:db8::1 [fe80::1%eth0]", b"y" * 500, b"z"]
    summary = await imported(store, logged() + b"\n".join(lines) + b"\n")
    assert [sample.text for sample in summary.samples] == ["… - - [17/May/2015:10:05:03", "x … […%eth0]", "y" * 99 + "…"]
