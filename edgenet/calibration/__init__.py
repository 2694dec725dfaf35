"""Does a set of calibration images match a model?"""
