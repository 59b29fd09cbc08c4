"""The process that sees a run through: deals out jobs, watches them, deals out again what was lost."""
