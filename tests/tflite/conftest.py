"""The fixtures of the two sides that read .tflite files."""

from export.conftest import batches, converter, net, scores_of, seen, settle, tiny, unseen
from runtime.conftest import with_metadata

__all__ = ["batches", "converter", "net", "scores_of", "seen", "settle", "tiny", "unseen", "with_metadata"]
