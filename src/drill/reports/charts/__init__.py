"""
The report's pictures, as Vega-Lite specifications.

Every picture over time has the same width and the same axis, so that what lies
above each other happened at the same moment. None holds text from outside.
"""

from drill.reports.charts.ledger import around, ledger
from drill.reports.charts.load import load
from drill.reports.charts.objective import bullet
from drill.reports.charts.over_time import lanes, latency, ribbons, servers

__all__ = ["around", "bullet", "lanes", "latency", "ledger", "load", "ribbons", "servers"]
