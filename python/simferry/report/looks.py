"""The style and the script of the page. The script is the only one that a reader's browser runs: the page names its hash."""

from pathlib import Path

STYLE = Path(__file__).with_name("style.css").read_text()
SCRIPT = Path(__file__).with_name("script.js").read_text()
