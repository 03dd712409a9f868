"""How idle threads wait; imported for its effect, before the first kernel starts its threads."""

import os

# GNU OpenMP lets idle threads spin for milliseconds. Beside any other busy process they then take
# the cores from the threads that have work: a run became up to ten times slower. After 1000
# rounds (microseconds) they sleep instead; the variable is read once, when OpenMP is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
