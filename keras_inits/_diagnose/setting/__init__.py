"""The setting of a training: data, targets, the end of the net, loss, optimizer, first steps."""
