"""The page about settings shows what the code has."""

from __future__ import annotations

from pathlib import Path

from footfall.settings import Settings, load_settings, markdown_table, setting_name

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN = "<!-- settings:begin -->\n"
END = "\n<!-- settings:end -->"


def test_the_table_is_the_generated_one() -> None:
    """Between the marks stands what `markdown_table` gives, letter for letter."""
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, end, _ = rest.partition(END)
    assert begin
    assert end
    assert table == markdown_table(), f"put this between the marks of docs/settings.md:\n{markdown_table()}"


def test_the_table_names_every_setting() -> None:
    """Each field has its row."""
    for field in Settings.model_fields:
        assert f"| `{setting_name(field)}` |" in markdown_table()


def test_the_example_of_a_secret_file_works(tmp_path: Path) -> None:
    """The name that the page shows is read from its file."""
    assert "FOOTFALL_STORE_FILE=/run/secrets/store" in PAGE.read_text(encoding="utf-8")
    secret = tmp_path / "store"
    secret.write_text("memory://\n")
    assert load_settings(environ={"FOOTFALL_STORE_FILE": str(secret)}, dotenv=None).store == "memory://"
