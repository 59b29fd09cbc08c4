"""What tables say: summaries with their Monte Carlo standard errors, and what looks odd."""
