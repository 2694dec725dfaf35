"""What results prove: statistics, verdicts, comparisons, recommendations."""
