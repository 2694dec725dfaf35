"""What results prove: verdicts, comparisons, recommendations."""
