"""The fastest file that keeps a budget of drift: files of mixed precision, tried on calibration images held back."""
