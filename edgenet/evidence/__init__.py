"""What results prove: verdicts, recommendations, comparisons."""
