"""One file a peer: the class `Peer`, called through harness.BasePeer alone."""
