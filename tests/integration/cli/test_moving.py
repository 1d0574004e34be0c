"""The commands that move numbers: backup, restore, export, site seed, and import of other counters' exports."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.commands.backup import _written
from footfall.errors import BadInput
from tests.integration.cli.commands import SITE, Run, failed, put_in_store, running_here, settle_in

VIEWS = {"/": 3, "/a": 2}
GOATCOUNTER = (
    "2Path,Title,Event,User-Agent,Browser,System,Session,Bot,Referrer,Referrer scheme,Screen size,Location,FirstVisit,Date\n"
    '/a,T,false,,Firefox 140,Linux,s,0,,,"1440,900,2",AT,true,2026-01-02T03:04:05Z\n'
)
PLAUSIBLE = "date,hostname,page,visits,visitors,pageviews\n2026-01-02,example.com,/a,1,1,7\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    settle_in(tmp_path, monkeypatch)
    with running_here(monkeypatch, capsys) as run:
        yield run


def total(run: Run, page: str = "/a", **environ: str) -> str:
    return run("count", SITE, page, "--n", "0", **environ).out.splitlines()[1].partition(", ")[2]


class TestBackup:
    def test_a_backup_is_restored_into_an_empty_store(self, run: Run) -> None:
        """And only into one; what was counted is there, and what was checked is told."""
        put_in_store(VIEWS)
        ended = run("backup", "b.gz")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("b.gz: ")
        assert stat.S_IMODE(os.stat("b.gz").st_mode) == 0o600
        other = "sqlite:///other.db"
        ended = run("restore", "b.gz", "--store", other)
        assert ended.code == 0
        assert "buckets that had ended are as in the backup" in ended.out
        assert total(run, FOOTFALL_STORE=other) == "2 in total"
        line = failed(run("restore", "b.gz", "--store", other))
        assert line == f"footfall: --store: it is not empty (views of {SITE}); restore into one that is, under another name"

    def test_a_file_that_is_there_is_left_alone(self, run: Run) -> None:
        """A backup never writes over another, and leaves nothing where it can't be written."""
        put_in_store(VIEWS)
        Path("b.gz").write_text("mine")
        assert failed(run("backup", "b.gz")) == "footfall: FILE: 'b.gz' already exists; name a new file"
        assert Path("b.gz").read_text() == "mine"
        assert failed(run("backup", "none/b.gz")).startswith("footfall: FILE: can't write 'none/b.gz' (No such file")
        assert sorted(os.listdir()) == ["b.gz", "footfall.db"]

    def test_a_file_that_came_meanwhile_is_left_alone(self, tmp_path: Path) -> None:
        """So is one that another backup is writing; and nobody but its owner can read a backup, whatever the umask."""
        before = os.umask(0)
        try:
            with _written(tmp_path / "one.gz") as out:
                out.write(b"1")
                with pytest.raises(BadInput, match="was created in the meantime"), _written(tmp_path / "one.gz"):
                    (tmp_path / "one.gz").write_text("mine")
                (tmp_path / "one.gz").unlink()
            assert stat.S_IMODE((tmp_path / "one.gz").stat().st_mode) == 0o600
            assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"1"
            assert os.listdir(tmp_path) == ["one.gz"]
        finally:
            os.umask(before)

    def test_a_damaged_backup_changes_nothing(self, run: Run) -> None:
        """One that is cut, another file, or none."""
        put_in_store(VIEWS)
        run("backup", "b.gz")
        whole = Path("b.gz").read_bytes()
        Path("cut.gz").write_bytes(whole[:-30])
        Path("changed.gz").write_bytes(whole[:-8] + bytes(8))
        Path("other.gz").write_bytes(gzip.compress(b"hello\n"))
        Path("plain").write_text("hello\n")
        header = gzip.decompress(whole).splitlines(keepends=True)[0]
        Path("deep.gz").write_bytes(gzip.compress(header + b"[" * 100_000 + b"\n"))
        Path("bytes.gz").write_bytes(gzip.compress(header + b'{"type":"\xff\x1b[31m"}\n'))
        Path("long.gz").write_bytes(gzip.compress(header + bytes(10_000_000)))
        for name, mend in (
            ("cut.gz", "is cut: its end is missing"),
            ("changed.gz", "is damaged"),
            ("plain", "is no backup of Footfall"),
            (".", "(Is a directory); name a file that can be read"),
            ("other.gz", "it is no backup of Footfall"),
            ("deep.gz", "line 2 can't be used"),
            ("bytes.gz", "line 2 can't be used"),
            ("long.gz", "line 2 is longer than 8,388,608 bytes"),
            ("none", "can't read 'none' (No such file or directory)"),
        ):
            assert mend in failed(run("restore", name, "--store", "sqlite:///other.db"))
        assert not Path("other.db").exists()


class TestExport:
    def test_rows_go_to_standard_output_or_a_file(self, run: Run) -> None:
        """As CSV or NDJSON, of one tier or of all."""
        put_in_store(VIEWS)
        ended = run("export", SITE, "--tier", "total")
        assert ended == (0, "tier,start,time,page,views\ntotal,0,,,5\ntotal,0,,/,3\ntotal,0,,/a,2\n", "")
        (row,) = [json.loads(line) for line in run("export", SITE, "--tier", "day", "--format", "ndjson").out.splitlines()][1:2]
        assert row | {"start": 0, "time": ""} == {"tier": "day", "start": 0, "time": "", "page": "/", "views": 3}
        ended = run("export", SITE, "-o", "rows.csv")
        assert (ended.code, ended.out, ended.err) == (0, "", f"18 rows of {SITE}\n")
        rows = list(csv.DictReader(io.StringIO(Path("rows.csv").read_text())))
        assert {row["tier"] for row in rows} == {"second", "minute", "hour", "day", "month", "total"}

    def test_what_can_not_be_exported_is_told(self, run: Run) -> None:
        """By the option at fault."""
        Path("rows.csv").write_text("mine")
        tiers = "second, minute, hour, day, month, total"
        assert failed(run("export", SITE, "--tier", "week")).endswith(f"--tier: write one of {tiers}, for views")
        assert failed(run("export", SITE, "--table", "x")).endswith("--table: write one of views, breakdown, visitors")
        assert failed(run("export", SITE, "--format", "xml")).endswith("--format: write csv or ndjson")
        assert failed(run("export", SITE, "-o", "rows.csv")).endswith("'rows.csv' already exists; name a new file")
        assert Path("rows.csv").read_text() == "mine"


class TestSeed:
    def test_totals_begin_with_what_another_counter_had(self, run: Run) -> None:
        """Of a page, of the site, or of many pages; each once."""
        put_in_store(VIEWS)
        Path("totals.csv").write_text('page,views\n/b,7\n"/a",1\n/a,1\n/zero,0\n')
        for given, said in (
            (("/a", "1000"), "1,000 views added to the total of 1 page"),
            (("--site-total", "50"), "50 views added to the total of the site"),
            (("--csv", "totals.csv"), "9 views added to the total of 2 pages"),
        ):
            assert run("site", "seed", SITE, *given).out == f"{said} of {SITE}\n"
            assert run("site", "seed", SITE, *given).out.startswith("nothing added: this was done before")
        assert run("site", "seed", SITE, "/a", "1", "--name", "again").out.startswith("1 view added")
        assert total(run) == "1,005 in total"
        assert total(run, "/b") == "7 in total"
        assert f"{SITE}: 5 views in the past minute, 1,065 in total" in run("check").out

    @pytest.mark.parametrize(
        ("given", "line"),
        [
            ((), "PAGE: give a page and its views, or --site-total, or --csv"),
            (("/a",), "PAGE: give a page and its views, or --site-total, or --csv"),
            (("/a", "5", "--site-total", "5"), "PAGE: give a page and its views, or --site-total, or --csv"),
            (("a", "5"), 'PAGE: a page begins with "/"; write a path, as in /blog/post'),
            (("/a", "many"), "N: write a whole number from 1 to 1000000000000"),
            (("--csv", "none.csv"), "--csv: can't read 'none.csv' (No such file or directory); name a file that is there"),
            (("--csv", "bad.csv"), "--csv: line 2: write a whole number from 0 to 1000000000000"),
            (("--csv", "wide.csv"), "--csv: line 1 has 3 columns; write a path, a comma, and its views"),
            (("--csv", "empty.csv"), "--csv: 'empty.csv' has no views; write a line a page: its path, a comma, its views"),
        ],
    )
    def test_what_can_not_be_added_is_told(self, run: Run, given: tuple[str, ...], line: str) -> None:
        """By the argument or the line at fault, and nothing is added."""
        Path("bad.csv").write_text("/a,5\n/b,x\n")
        Path("wide.csv").write_text("/a,5,6\n")
        Path("empty.csv").write_text("")
        assert failed(run("site", "seed", SITE, *given)) == f"footfall: {line}"


class TestImport:
    def test_exports_are_told_from_logs(self, run: Run) -> None:
        """Packed or not, GoatCounter's and Plausible's; each counts once, and a dry run nothing."""
        Path("gc.csv.gz").write_bytes(gzip.compress(GOATCOUNTER.encode()))
        with zipfile.ZipFile("plausible.zip", "w") as archive:
            archive.writestr("imported_pages_20260102_20260102.csv", PLAUSIBLE)
            archive.writestr("imported_visitors_20260102_20260102.csv", "date,visitors\n")
        files = ("gc.csv.gz", "plausible.zip")
        ended = run("import", *files, "--site", SITE, "--dry-run")
        assert ended.out == f"views of {SITE} by another counter\n  8  would be counted\n"
        assert ended.err == "note: a dry run: nothing was written\n"
        assert run("import", *files, "--site", SITE).out == f"views of {SITE} by another counter\n  8  counted\n"
        assert "  8  dealt with by an earlier import" in run("import", *files, "--site", SITE).out
        assert total(run) == "8 in total"

    def test_what_can_not_be_imported_is_told(self, run: Run) -> None:
        """A site that is not named, logs among exports, an archive of something else, and a file that is cut."""
        Path("gc.csv").write_text(GOATCOUNTER)
        Path("log").write_text("x")
        packed = gzip.compress(GOATCOUNTER.encode() + os.urandom(5000).hex().encode())
        Path("cut.gz").write_bytes(packed[: len(packed) // 2])
        assert failed(run("import", "gc.csv")).startswith("footfall: --site: say whose views another counter exported")
        assert "'log' is no export of another counter" in failed(run("import", "gc.csv", "log", "--site", SITE))
        assert "is cut or damaged" in failed(run("import", "cut.gz", "--site", SITE))
