"""What stands at the end of a net, against its loss and its targets."""
