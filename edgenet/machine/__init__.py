"""The machine that measures: what it is, its sensors, its peak, and how good its measurements can be."""
