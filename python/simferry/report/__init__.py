"""Figures of simulation studies as SVG and by matplotlib, and the report of a run: one page of HTML that asks nothing of any server."""
