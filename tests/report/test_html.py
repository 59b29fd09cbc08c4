"""The parts of the page."""

import base64
import hashlib
import re
import zlib

from simferry.report import html


def test_the_page_runs_its_own_script_alone_and_asks_for_nothing():
    page = html.document("<t>", "", [("A", "x"), ("empty", "")])
    script = re.search(r"<script>(.*)</script>", page, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert "<h1>&lt;t&gt;</h1>" in page and "empty" not in page and not re.search(r"https?:|url\(|src=|@import", page)


def test_a_table_escapes_and_says_what_it_leaves_out():
    text = html.table(["a", "b"], [["<i>", 1]] * (html.MOST_ROWS + 1), {1}, {0}, {(0, 0): '"'})
    assert (
        '<td class=t title="&quot;">&lt;i&gt;<td>1' in text
        and "<i>" not in text
        and "The first 2,000 of 2,001 rows." in text
    )


def test_a_chooser_packs_all_but_the_first():
    text = html.chooser("one", [("<x>", "first"), ("y", "second"), ("z", "third\x1e"[:-1])])
    packed = re.search("<template>(.*)</template>", text)[1]
    assert zlib.decompress(base64.b64decode(packed)).decode().split(html.SEPARATOR) == ["second", "third"]
    assert "first" in text and "<option>&lt;x&gt;</option>" in text and html.chooser("one", []) == ""
