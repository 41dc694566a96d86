"""What runs in the controller: the standard library only."""
