"""From a folder of photos to a trained model: the photos, their copies, the split, and training."""
