"""One cycle: from the clicks of a window to a version that was judged, or to the reasons why there is none."""
