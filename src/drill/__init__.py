"""drill runs disaster-recovery drills and proves what they showed."""

__version__ = "0.1.0"
