# SPDX-License-Identifier: Apache-2.0
"""A page as a browser has rendered it: check_page.py DOM CHARTS MARKS

There are CHARTS charts, each with an SVG picture of at least MARKS shapes, a title and a table with rows; no heading leaves out a
level, and every column and row of a table has a title; nothing is asked of any other place, and no text of the data has become an element."""
import html.parser
import sys

SHAPES = {"path", "rect", "polyline", "line", "polygon", "circle"}
VOID = {"meta", "link", "input", "br", "img"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.charts, self.problems, self.ready = [], [], [], ""
        self.heading, self.titled = 0, True

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        if tag == "main":
            self.ready = attributes.get("data-ready", "")
        if tag in ("img", "iframe", "object", "embed"):
            self.problems.append(f"a <{tag}> that nobody put there")
        for name, value in pairs:
            if name in ("src", "href", "xlink:href", "action") and not (value or "").startswith(("#", "data:")):
                self.problems.append(f"{tag} {name}={value}")
            if name.startswith("on"):
                self.problems.append(f"{tag} has {name}")
            if "url(" in (value or "") and "url(#" not in value:
                self.problems.append(f"{tag} {name}={value}")
        if "chart" in (attributes.get("class") or "").split():
            self.charts.append({"label": attributes.get("aria-label"), "marks": 0, "rows": 0, "depth": len(self.stack)})
        if tag in ("h1", "h2", "h3"):
            if int(tag[1]) > self.heading + 1:
                self.problems.append(f"a <{tag}> under an h{self.heading}")
            self.heading = int(tag[1])
        if tag == "th":
            self.titled = False
        if self.charts and tag in SHAPES and "svg" in self.stack:
            self.charts[-1]["marks"] += 1
        if self.charts and tag == "td":
            self.charts[-1]["rows"] += 1
        if tag not in VOID:
            self.stack.append(tag)

    def handle_data(self, data):
        self.titled = self.titled or bool(data.strip())

    def handle_endtag(self, tag):
        if tag == "th" and not self.titled:
            self.problems.append("a column or row without a title")
        while self.stack and tag in self.stack and self.stack.pop() != tag:
            pass


page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
assert page.ready == "yes", f"the page is not ready: {page.ready}"
assert not page.problems, page.problems
assert len(page.charts) == int(sys.argv[2]), [chart["label"] for chart in page.charts]
for chart in page.charts:
    assert chart["label"], "a chart without a label"
    assert chart["marks"] >= int(sys.argv[3]), chart
    assert chart["rows"] > 0, f"{chart['label']}: no table beside it"
